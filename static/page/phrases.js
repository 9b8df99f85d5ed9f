// One tap puts a phrase into its field, at the cursor, beside what stands there; a part or a serial number is
// chosen and takes the field's place. What was saved lately comes first: noted on this phone for each
// person, and forgotten when he signs out.

import { say } from "./copy.js"
import { isSaved } from "./keep.js"

const SHOWN = 5
const KEPT = 30
const LONGEST = 60
const BETWEEN = /[\n；;。]/
const written = new WeakSet()

const nameOf = () => `recent ${document.body.dataset.personId}`
const boxes = (root) => [...root.querySelectorAll("[data-phrases]")]
const fieldOf = (box) => box.closest("form").querySelector(`#${box.dataset.phrases}`)

/** What was written lately: texts by field, the newest first. */
function recent() {
  try {
    return JSON.parse(localStorage.getItem(nameOf()) ?? "{}")
  } catch {
    return {}
  }
}

/** Lately used texts before all others, those of this page as well as those that are nowhere else. */
export function offerRecent() {
  const known = recent()
  for (const box of boxes(document)) {
    for (const text of (known[box.dataset.recent] ?? []).slice(0, SHOWN).reverse()) {
      const there = [...box.children].find((each) => each.dataset.phrase === text)
      box.prepend(there ?? buttonFor(text))
    }
  }
}

function buttonFor(text) {
  const button = document.createElement("button")
  Object.assign(button, { type: "button", className: "phrase", textContent: text })
  button.dataset.phrase = text
  return button
}

function insert(field, text, glue) {
  // a field nobody touched has its cursor before everything
  const at = written.has(field) ? field.selectionEnd : field.value.length
  const before = field.value.slice(0, at)
  const added = (before && !/[\s，。；、：,.;:]$/.test(before) ? glue : "") + text
  if (field.maxLength >= 0 && field.value.length + added.length > field.maxLength) return false
  field.setRangeText(added, at, at, "end")
  written.add(field)
  return true
}

/** Note what a saved form says, for the next one. */
function note(form) {
  const known = recent()
  for (const box of boxes(form)) {
    const { recent: path, whole } = box.dataset
    const said = path ? fieldOf(box).value : ""
    const texts = (whole === undefined ? said.split(BETWEEN) : [said]).map((each) => each.trim())
    const fitting = texts.filter((each) => each.length > 1 && each.length <= LONGEST)
    if (fitting.length) known[path] = [...new Set([...fitting, ...(known[path] ?? [])])].slice(0, KEPT)
  }
  try {
    localStorage.setItem(nameOf(), JSON.stringify(known))
  } catch (error) {
    console.warn("phrases not noted:", error.message)
  }
}

document.addEventListener("focusin", ({ target }) => written.add(target))
document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-phrase]")
  if (!button) return
  const box = button.parentElement
  const field = fieldOf(box)
  if (box.dataset.whole !== undefined) field.value = button.dataset.phrase
  else if (!insert(field, button.dataset.phrase, box.dataset.glue)) return say(document.querySelector("[data-said]").dataset.full)
  field.dispatchEvent(new Event("input", { bubbles: true }))
  field.dispatchEvent(new Event("change", { bubbles: true })) // a number is compared at once
})
document.addEventListener("htmx:after:request", (event) => {
  if (isSaved(event) && boxes(event.target).length) note(event.target)
})
document.addEventListener("submit", ({ target }) => {
  if (new URL(target.action, location.href).pathname === "/sign-out") localStorage.removeItem(nameOf())
})
