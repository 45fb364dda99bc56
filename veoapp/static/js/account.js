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

// A form goes once. A second click would ask for a second code while the first is on its way.
for (const form of document.querySelectorAll(".entrance form")) {
  form.addEventListener("submit", () => setTimeout(() => settle(form, true)));
}
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll(".entrance form")) settle(form, false);
});
function settle(form, sent) {
  for (const button of form.querySelectorAll('button[type="submit"]')) button.disabled = sent;
}
