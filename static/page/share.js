// "Send the link": by whatever this phone sends things with; where it has nothing, the link is copied.

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-share]")
  if (!button) return
  const said = button.parentElement.querySelector("[data-share-said]")
  const url = button.dataset.share
  try {
    if (navigator.share) return await navigator.share({ url })
    await navigator.clipboard.writeText(url)
    said.textContent = said.dataset.copied
  } catch (error) {
    // who changed his mind needs no sentence
    if (error.name !== "AbortError") said.textContent = said.dataset.failed
  }
})
