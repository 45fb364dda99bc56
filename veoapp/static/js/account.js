// Passkeys exist in browsers that know them, at addresses that have a name: an IP address cannot own one.
const named = !/^[\d.]+$|:/.test(location.hostname);
if (window.PublicKeyCredential && named) {
  for (const part of document.querySelectorAll("[data-passkeys]")) part.hidden = false;
}

// What allauth's scripts would only tell the console.
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  for (const part of document.querySelectorAll("[data-passkey-failed]")) part.hidden = false;
});

// The current section stays in sight where the sections scroll.
const here = document.querySelector(".settings-nav [aria-current]");
if (here) here.scrollIntoView({ block: "nearest", inline: "center" });
