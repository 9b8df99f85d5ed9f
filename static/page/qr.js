// Draws the QR code of the link in `data-qr`, as a picture called `data-label`. Nothing is fetched but
// the encoder, which lies on the phone: the code can be scanned where there is no signal.

const SVG = "http://www.w3.org/2000/svg"
const QUIET_ZONE = 4

/** Wherever a page asks for a code and has none yet. */
export async function drawCodes() {
  const places = [...document.querySelectorAll("[data-qr]:empty")]
  if (!places.length) return
  const { encode } = await import("../vendor/uqr.js")
  for (const place of places) {
    const { data, size } = encode(place.dataset.qr, { ecc: "M", border: QUIET_ZONE })
    place.replaceChildren(picture(data, size, place.dataset.label))
  }
}

function picture(rows, size, label) {
  const dots = rows.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : [])))
  const svg = element("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label })
  svg.append(
    element("rect", { width: size, height: size, fill: "#fff" }),
    element("path", { d: dots.join(""), fill: "#000", "shape-rendering": "crispEdges" }),
  )
  return svg
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  return made
}
