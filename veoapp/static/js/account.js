// Passkeys need browser support and a host name; they do not work for IP addresses.
const hasHostName = !/^[\d.]+$|:/.test(location.hostname);
if (window.PublicKeyCredential && hasHostName) {
  for (const part of document.querySelectorAll("[data-passkeys]")) part.hidden = false;
}

// Shows an error that allauth's scripts only log to the console.
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  for (const part of document.querySelectorAll("[data-passkey-failed]")) part.hidden = false;
});

// Scrolls the current section of the navigation into view.
const currentSection = document.querySelector(".settings-nav [aria-current]");
if (currentSection) currentSection.scrollIntoView({ block: "nearest", inline: "center" });

// A form is sent once: a second click would request a second code.
for (const form of document.querySelectorAll(".entrance form")) {
  form.addEventListener("submit", () => setTimeout(() => setButtonsDisabled(form, true)));
}
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll(".entrance form")) setButtonsDisabled(form, false);
});
function setButtonsDisabled(form, disabled) {
  for (const button of form.querySelectorAll('button[type="submit"]')) button.disabled = disabled;
}
