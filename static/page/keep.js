// What was typed and not yet saved survives a reload. A draft lives in this tab only, and goes when
// its form was saved.
//
// A draft keeps the hidden heads too: they are what its author saw when he wrote it. The signature
// is never kept, nor the digest of what was on the screen when it was drawn.

const TRANSIENT = "[data-pad] input, [name=seen], [type=file], [type=password]"
const shownFirst = new WeakMap()

/** Whether a form on this page holds something that is nowhere else, or somebody draws or scans. */
export function isHalfTyped() {
  if (document.querySelector("dialog[open]")) return true
  return forms().some((form) => isRefused(form) || (shownFirst.has(form) && written(form) !== shownFirst.get(form)))
}

/** Note what the forms show, then put drafts back into them. */
export function readForms() {
  for (const form of forms()) {
    shownFirst.set(form, written(form))
    // a refused form comes back with its own values, newer than the draft
    const draft = !isRefused(form) && sessionStorage.getItem(nameOf(form))
    if (draft) fill(form, JSON.parse(draft))
  }
}

/**
 * Whether an answer says that its form was saved: a refused one comes back with a status of its own.
 * That the answer was redirected is not asked: WebKit does not tell it of what the worker redirects.
 */
export function isSaved({ target, detail }) {
  return Boolean(target.matches?.("form[data-keep]") && detail.ctx.response?.raw?.ok)
}

function forms() {
  return [...document.querySelectorAll("form[data-keep]")]
}

function isRefused(form) {
  return form.querySelector(".finding") !== null
}

/** Everything in the form as text, the signature included. */
function written(form) {
  return JSON.stringify(controls(form, "[type=file]").map((control) => [control.name, valueOf(control)]))
}

function controls(form, except) {
  return [...form.elements].filter((control) => control.name && control.type !== "submit" && !control.matches(except))
}

/** The value of a control; false for a box or a choice that is not ticked. */
function valueOf(control) {
  return isTicked(control) ? control.checked && control.value : control.value
}

function isTicked(control) {
  return control.type === "checkbox" || control.type === "radio"
}

/** One draft for each person and form of a visit: check-lists and corrections share their address. */
function nameOf(form) {
  const { list, entry } = form.elements
  return ["draft", document.body.dataset.personId, new URL(form.action).pathname, list?.value, entry?.value].filter(Boolean).join(" ")
}

function fill(form, draft) {
  for (const control of controls(form, TRANSIENT)) {
    // a choice and what is typed instead of it share a name
    const isOfItsSort = ([name, , wasTicked = isTicked(control)]) => name === control.name && wasTicked === isTicked(control)
    const kept = draft.filter(isOfItsSort).map(([, value]) => value)
    if (isTicked(control)) control.checked = kept.includes(control.value)
    else if (kept.length) control.value = kept[0]
  }
}

function note(event) {
  const form = event.target.form ?? event.target.closest?.("form")
  if (!form?.matches("[data-keep]")) return
  try {
    if (written(form) === shownFirst.get(form)) return sessionStorage.removeItem(nameOf(form))
    const draft = controls(form, TRANSIENT).map((control) => [control.name, valueOf(control), isTicked(control)])
    sessionStorage.setItem(nameOf(form), JSON.stringify(draft))
  } catch (error) {
    // no room for drafts: the form itself still holds everything
    console.warn("draft not kept:", error.message)
  }
}

document.addEventListener("input", note)
document.addEventListener("change", note)
document.addEventListener("htmx:after:request", (event) => {
  if (isSaved(event)) sessionStorage.removeItem(nameOf(event.target))
})
