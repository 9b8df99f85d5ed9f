// Copy a number or an address; where the clipboard is not to be had it is selected, ready for the phone's own menu.

function select(node) {
  const range = document.createRange()
  range.selectNodeContents(node)
  getSelection().removeAllRanges()
  getSelection().addRange(range)
}

/** By the old command, which also works on pages that are not secure. */
function copySelected() {
  try {
    return document.execCommand("copy")
  } catch {
    return false
  }
}

/** Say something to the reader's eyes and ears. */
export function say(text) {
  const said = document.querySelector("[data-said]")
  if (said) said.textContent = text
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-copy]")
  if (!button) return say("")
  const { copied, selected } = document.querySelector("[data-said]").dataset
  try {
    await navigator.clipboard.writeText(button.dataset.copy)
    say(copied + button.dataset.copy)
  } catch {
    select(button.previousElementSibling)
    say(copySelected() ? copied + button.dataset.copy : selected)
  }
})
