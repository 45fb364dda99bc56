// The studio's comforts: word count, hints, image previews while they upload, one click is one order.
// The form works without any of it.

const form = document.getElementById("studio");
const prompt = document.getElementById("id_prompt");
const count = document.getElementById("prompt-count");
const hints = document.getElementById("hints");

// What each hint looks for, in English and Chinese. A guess: it only colours a chip.
const SAID = {
  subject: /\S+\s+\S+\s+\S+|[\u4e00-\u9fff]{4,}/,
  action: /\b\w{2,}ing\b|\b(drifts?|runs?|walks?|falls?|rises?|turns?|opens?|rolls?|flies|grows?|lifts?|dances?|lights?)\b|[走跑飞落升转开动舞漂滚游跳涌流吹驶穿追]/i,
  camera: /\b(dolly|pan|tilt|zoom|track\w*|crane|drone|aerial|handheld|close[- ]?up|macro|wide|shot|lens|push[- ]?in|orbit|pov|\d+\s?mm)\b|[镜摄俯仰]|推进|拉远|特写|航拍|环绕/i,
  light: /\b(light\w*|dusk|dawn|sun\w*|golden|neon|moon\w*|shadow\w*|glow\w*|backlit|fog\w*|lamp\w*|candle\w*|morning|night|evening)\b|[光影霞暮晨夜]|黄昏|霓虹/i,
  sound: /\b(sounds?|music|voices?|says?|said|hum\w*|silen\w+|whisper\w*|sings?|rumble\w*|audio|hear\w*|roar\w*)\b|["“「][^"”」]+["”」]|[声音乐说唱响静]/i,
};

function words(text) {
  const limit = Number(count.dataset.limit);
  if (text.length > limit) return `${text.length} / ${limit} ${count.dataset.unitHan}`;
  const han = text.match(/[\u4e00-\u9fff]/g);
  if (han || (text === "" && document.documentElement.lang.startsWith("zh"))) {
    return `${han ? han.length : 0} ${count.dataset.unitHan}`;
  }
  const found = text.trim().split(/\s+/).filter(Boolean).length;
  return `${found} ${found === 1 ? count.dataset.unitOne : count.dataset.unit}`;
}

function look() {
  count.textContent = words(prompt.value);
  count.classList.toggle("tone-bad", prompt.value.length > Number(count.dataset.limit));
  for (const hint of hints.querySelectorAll("button")) {
    hint.classList.toggle("said", SAID[hint.dataset.hint].test(prompt.value));
  }
}

for (const item of hints.querySelectorAll("li")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = item.textContent;
  button.dataset.hint = item.dataset.hint;
  button.addEventListener("click", () => {
    const text = prompt.value.trimEnd();
    const glue = text === "" ? "" : /[\u3000-\u9fff]$/.test(text) ? "，" : /[,.;:，。；：]$/.test(text) ? " " : ", ";
    const start = text.length + glue.length;
    prompt.focus();
    prompt.setRangeText(`${glue}${item.dataset.add}`, text.length, prompt.value.length, "end");
    prompt.setSelectionRange(start, prompt.value.length);
    look();
  });
  item.replaceChildren(button);
}
prompt.addEventListener("input", look);
look();

// A form that came back starts where something is to be changed.
const wrong = form.querySelector('[aria-invalid="true"]');
if (wrong) wrong.focus();

// Ctrl+Enter in the prompt makes the video.
prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

// The server knows an order by its key, so a second click would only show the same video; this spares the request.
let sent = false;
form.addEventListener("submit", (event) => {
  if (event.submitter && event.submitter.name === "remove") return;
  if (sent) event.preventDefault();
  sent = true;
});
window.addEventListener("pageshow", () => { sent = false; });

// An answer to choices that have changed again meanwhile would undo them: it is let go, the next one is on its way.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "choices") return;
  const chosen = new FormData(form);
  const asked = event.detail.requestConfig.parameters;
  const names = ["mode", "model", "aspect_ratio", "resolution", "duration_s"];
  if (names.some((name) => asked[name] !== (chosen.get(name) ?? undefined))) event.detail.shouldSwap = false;
});

// An image on its way shows how far it is.
document.body.addEventListener("htmx:xhr:progress", (event) => {
  const bar = event.target.closest?.(".slot")?.querySelector("progress");
  if (bar && event.detail.lengthComputable) {
    bar.hidden = false;
    bar.value = Math.round((event.detail.loaded / event.detail.total) * 100);
  }
});

// What was typed survives a closed page or a lost connection, in this tab only, until the server has it.
const DRAFT = "veoapp.prompt";
if (prompt.value !== "") {
  sessionStorage.removeItem(DRAFT);
} else if (sessionStorage.getItem(DRAFT)) {
  prompt.value = sessionStorage.getItem(DRAFT);
  look();
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

// A choice made before this page could ask for its price, or brought back by the browser, is asked about now.
window.addEventListener("load", () => {
  const inputs = [...document.querySelectorAll("#mode input, #choices input")];
  if (inputs.some((input) => input.checked !== input.defaultChecked)) htmx.trigger("#choices", "change");
});
