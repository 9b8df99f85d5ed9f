// A button that must be held for two seconds: the customer has the phone, and only the engineer
// knows. The sheet shows the progress (.holding) and a press that was too short (.held-short).

const HOLD_MS = 2000
const SAID_MS = 1500
let held = null

function press(button) {
  if (held) return
  button.classList.remove("held-short")
  button.classList.add("holding")
  held = { button, timer: setTimeout(() => leave(button), HOLD_MS) }
}

function leave(button) {
  held = null
  location.assign(button.dataset.hold)
}

function release() {
  if (!held) return
  const { button, timer } = held
  held = null
  clearTimeout(timer)
  button.classList.remove("holding")
  button.classList.add("held-short")
  setTimeout(() => button.classList.remove("held-short"), SAID_MS)
}

const buttonOf = (event) => event.target.closest?.("[data-hold]")
const isKey = (event) => event.key === "Enter" || event.key === " "

document.addEventListener("pointerdown", (event) => {
  const button = buttonOf(event)
  if (button && event.isPrimary && event.button === 0) press(button)
})
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, release)
document.addEventListener("pointermove", (event) => {
  // a touch keeps its target wherever it goes: ask what lies under it
  const under = event.buttons && document.elementFromPoint(event.clientX, event.clientY)
  if (held && under && !held.button.contains(under)) release()
})
document.addEventListener("keydown", (event) => {
  const button = buttonOf(event)
  if (!button || !isKey(event)) return
  event.preventDefault()
  if (!event.repeat) press(button)
})
document.addEventListener("keyup", (event) => isKey(event) && release())
document.addEventListener("focusout", (event) => event.target === held?.button && release())
document.addEventListener("visibilitychange", release)
document.addEventListener("contextmenu", (event) => buttonOf(event) && event.preventDefault())
