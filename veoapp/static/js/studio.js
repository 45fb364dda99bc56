// The studio's conveniences: word count, hints, upload progress, and protection against double clicks.
// The form works without any of it.

const form = document.getElementById("studio");
const prompt = document.getElementById("id_prompt");
const count = document.getElementById("prompt-count");
const hints = document.getElementById("hints");

// What each hint looks for, in English and Chinese. It is a guess that only colours a chip.
const HINT_PATTERNS = {
  subject: /\S+\s+\S+\s+\S+|[\u4e00-\u9fff]{4,}/,
  action: /\b\w{2,}ing\b|\b(drifts?|runs?|walks?|falls?|rises?|turns?|opens?|rolls?|flies|grows?|lifts?|dances?|lights?)\b|[走跑飞落升转开动舞漂滚游跳涌流吹驶穿追]/i,
  camera: /\b(dolly|pan|tilt|zoom|track\w*|crane|drone|aerial|handheld|close[- ]?up|macro|wide|shot|lens|push[- ]?in|orbit|pov|\d+\s?mm)\b|[镜摄俯仰]|推进|拉远|特写|航拍|环绕/i,
  light: /\b(light\w*|dusk|dawn|sun\w*|golden|neon|moon\w*|shadow\w*|glow\w*|backlit|fog\w*|lamp\w*|candle\w*|morning|night|evening)\b|[光影霞暮晨夜]|黄昏|霓虹/i,
  sound: /\b(sounds?|music|voices?|says?|said|hum\w*|silen\w+|whisper\w*|sings?|rumble\w*|audio|hear\w*|roar\w*)\b|["“「][^"”」]+["”」]|[声音乐说唱响静]/i,
};

function countWords(text) {
  const limit = Number(count.dataset.limit);
  if (text.length > limit) return `${text.length} / ${limit} ${count.dataset.unitHan}`;
  const han = text.match(/[\u4e00-\u9fff]/g);
  if (han || (text === "" && document.documentElement.lang.startsWith("zh"))) {
    return `${han ? han.length : 0} ${count.dataset.unitHan}`;
  }
  const found = text.trim().split(/\s+/).filter(Boolean).length;
  return `${found} ${found === 1 ? count.dataset.unitOne : count.dataset.unit}`;
}

function updateCountAndHints() {
  count.textContent = countWords(prompt.value);
  count.classList.toggle("tone-bad", prompt.value.length > Number(count.dataset.limit));
  for (const hint of hints.querySelectorAll("button")) {
    hint.classList.toggle("is-covered", HINT_PATTERNS[hint.dataset.hint].test(prompt.value));
  }
}

for (const item of hints.querySelectorAll("li")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = item.textContent;
  button.dataset.hint = item.dataset.hint;
  button.addEventListener("click", () => {
    const text = prompt.value.trimEnd();
    const separator = text === "" ? "" : /[\u3000-\u9fff]$/.test(text) ? "，" : /[,.;:，。；：]$/.test(text) ? " " : ", ";
    const start = text.length + separator.length;
    prompt.focus();
    prompt.setRangeText(`${separator}${item.dataset.add}`, text.length, prompt.value.length, "end");
    prompt.setSelectionRange(start, prompt.value.length);
    updateCountAndHints();
  });
  item.replaceChildren(button);
}
prompt.addEventListener("input", updateCountAndHints);
updateCountAndHints();

// A form with an error focuses the first invalid field.
const invalidField = form.querySelector('[aria-invalid="true"]');
if (invalidField) invalidField.focus();

// Ctrl+Enter in the prompt sends the form.
prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

// The order's key makes a second click harmless; this saves the request.
let isSent = false;
form.addEventListener("submit", (event) => {
  if (event.submitter && event.submitter.name === "remove") return;
  if (isSent) event.preventDefault();
  isSent = true;
});
window.addEventListener("pageshow", () => { isSent = false; });

// A response to choices that have changed again meanwhile would undo them, so it is ignored; the next one follows.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "choices") return;
  const chosen = new FormData(form);
  const requested = event.detail.requestConfig.parameters;
  const names = ["mode", "model", "aspect_ratio", "resolution", "duration_s"];
  if (names.some((name) => requested[name] !== (chosen.get(name) ?? undefined))) event.detail.shouldSwap = false;
});

// Shows the progress of an image upload.
document.body.addEventListener("htmx:xhr:progress", (event) => {
  const bar = event.target.closest?.(".slot")?.querySelector("progress");
  if (bar && event.detail.lengthComputable) {
    bar.hidden = false;
    bar.value = Math.round((event.detail.loaded / event.detail.total) * 100);
  }
});

// Keeps the typed prompt in this tab if the page is closed or the connection lost, until the server has it.
const DRAFT = "veoapp.prompt";
if (prompt.value !== "") {
  sessionStorage.removeItem(DRAFT);
} else if (sessionStorage.getItem(DRAFT)) {
  prompt.value = sessionStorage.getItem(DRAFT);
  updateCountAndHints();
}
prompt.addEventListener("input", () => sessionStorage.setItem(DRAFT, prompt.value));

// When credits are refunded while the page is open, the price has to be fetched again.
let balance = document.getElementById("balance").textContent;
document.body.addEventListener("htmx:oobAfterSwap", (event) => {
  if (event.detail.target.id !== "balance") return;
  const now = document.getElementById("balance").textContent;
  if (now !== balance) htmx.trigger("#choices", "change");
  balance = now;
});

// Asks for the price of choices that were made before this script ran or that the browser restored.
window.addEventListener("load", () => {
  const inputs = [...document.querySelectorAll("#mode input, #choices input")];
  if (inputs.some((input) => input.checked !== input.defaultChecked)) htmx.trigger("#choices", "change");
});
