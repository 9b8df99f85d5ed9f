// Beside every number a button that scans it, below it what the office knows of it: both come with the
// first use (serial.js), and without them a number is typed as ever.

/** The tap that left the field ends first: the line that appears would move its aim away under it. */
const TAP_MS = 300

async function use(input, work) {
  try {
    const tools = await import("./serial.js")
    if (input.isConnected) await work(tools) // else its page went meanwhile
  } catch (error) {
    console.warn(error.message)
    const said = document.getElementById(`known-${input.name}`)
    if (said) said.textContent = said.dataset.later
  }
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-scan]")
  if (button) use(document.getElementById(button.dataset.scan), ({ scanInto }) => scanInto(button))
})
document.addEventListener("change", ({ target }) => {
  if (!target.matches?.("[data-expects]")) return
  setTimeout(() => use(target, ({ tell }) => tell(target)), TAP_MS)
})
