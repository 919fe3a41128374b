/** A short note at the bottom of the page that disappears by itself. */

let timer = 0;

/** Show a note for a few seconds. */
export function toast(text) {
  const node = document.getElementById("toast");
  node.textContent = text;
  node.classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(() => node.classList.remove("shown"), 5000);
}
