// "Navigate": by the map that was chosen on this phone the last time. Nothing is asked of anybody before the tap.

const CHOSEN = "map"
const ELSEWHERE = /iPhone|iPad|iPod|Macintosh/.test(navigator.userAgent) ? "geo" : "apple"

function chosen() {
  try {
    return localStorage.getItem(CHOSEN)
  } catch {
    return null // not allowed: it is asked each time
  }
}

/** From the second time on the way is one tap; maps of other phones are left out. */
export function offerMaps() {
  for (const box of document.querySelectorAll("[data-maps]")) {
    for (const link of box.querySelectorAll("[data-map]")) link.parentElement.hidden = link.dataset.map === ELSEWHERE
    const found = [...box.querySelectorAll("[data-map]")].find((link) => link.dataset.map === chosen() && link.dataset.map !== ELSEWHERE)
    const go = box.querySelector("[data-map-go]")
    go.hidden = !found
    if (found) {
      go.href = found.href
      go.target = found.target
      go.querySelector("[data-map-name]").textContent = found.textContent
    }
    for (const words of box.querySelectorAll("summary [data-first]")) words.hidden = (words.dataset.first === "yes") === Boolean(found)
  }
}

document.addEventListener("click", ({ target }) => {
  const link = target.closest?.("[data-map]")
  if (!link) return
  try {
    localStorage.setItem(CHOSEN, link.dataset.map)
  } catch (error) {
    console.warn("map not remembered:", error.message)
  }
  link.closest("details").open = false
  offerMaps()
})
