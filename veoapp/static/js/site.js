// Small conveniences on every page. The site works without them.

// Menus close on a click outside or on Escape.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A link with data-dialog opens its confirmation as a dialog instead of a page.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.dialog);
    if (dialog && dialog.showModal) {
      event.preventDefault();
      dialog.showModal();
    }
    return;
  }
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
});

// A poster with data-preview plays its video silently while it is hovered or focused.
const reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)");
const savesData = navigator.connection && navigator.connection.saveData;

function play(poster) {
  if (reducedMotion.matches || savesData || poster.querySelector("video")) return;
  const video = document.createElement("video");
  video.muted = true;
  video.loop = true;
  video.playsInline = true;
  video.setAttribute("aria-hidden", "true");
  video.tabIndex = -1;
  video.src = poster.dataset.preview;
  video.addEventListener("canplay", () => {
    poster.insertBefore(video, poster.querySelector(".poster-tags"));
    video.play().catch(() => video.remove());
  }, { once: true });
  poster.preview = video;
}

function stop(poster) {
  if (!poster.preview) return;
  poster.preview.pause();
  poster.preview.removeAttribute("src");
  poster.preview.load();
  poster.preview.remove();
  poster.preview = null;
}

function posterOf(event) {
  return event.target instanceof Element ? event.target.closest("a")?.querySelector("[data-preview]") : null;
}
for (const [name, act] of [["pointerover", play], ["focusin", play]]) {
  document.addEventListener(name, (event) => {
    const poster = posterOf(event);
    if (poster && !poster.preview && event.pointerType !== "touch") act(poster);
  });
}
for (const name of ["pointerout", "focusout"]) {
  document.addEventListener(name, (event) => {
    const poster = posterOf(event);
    const next = event.relatedTarget;
    if (poster && !(next instanceof Node && poster.closest("a").contains(next))) stop(poster);
  });
}
