// Where the engineer is, only when he asks for it: whole micro-degrees and metres. No answer is fine.

const TIMEOUT_MS = 10_000
const MICRO = 1_000_000

/** @param {GeolocationCoordinates} coords */
export function noted({ latitude, longitude, accuracy }) {
  return { latitude: Math.round(latitude * MICRO), longitude: Math.round(longitude * MICRO), accuracy: Math.round(accuracy) }
}

function ask(button) {
  const box = button.closest("[data-position]")
  const said = box.querySelector("[data-position-said]")
  const input = box.querySelector("input")
  const say = (what) => {
    said.textContent = said.dataset[what]
    button.disabled = what === "asking"
  }
  const refused = () => say("refused")
  say("asking")
  if (!navigator.geolocation) return refused()
  const found = ({ coords }) => {
    input.value = JSON.stringify(noted(coords))
    input.dispatchEvent(new Event("input", { bubbles: true }))
    say("noted")
  }
  return navigator.geolocation.getCurrentPosition(found, refused, {
    enableHighAccuracy: true,
    timeout: TIMEOUT_MS,
    maximumAge: 0,
  })
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-position-ask]")
  if (button) ask(button)
})
