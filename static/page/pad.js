// The signature pad: strokes are lists of whole numbers [x, y, ms, x, y, ms, …], in CSS pixels of the
// pad as it was when signing began, and milliseconds since its first point.

/** Most points of a signature; the catalogue refuses more. */
const POINTS = 4000
const PEN = 2.4
const MARGIN = 8
const pads = new WeakMap()

/** Give every pad on the page its size, and draw what it holds. */
export function fitPads() {
  for (const canvas of document.querySelectorAll("[data-pad] canvas")) {
    if (!pads.has(canvas)) pads.set(canvas, new Pad(canvas))
    pads.get(canvas).fit()
  }
}

/**
 * Strokes with fewer points: each loses every second one, but never its ends.
 * @param {number[][]} strokes
 */
export function thin(strokes) {
  return strokes.map((stroke) =>
    stroke.filter((_, index) => {
      const point = Math.floor(index / 3)
      return point % 2 === 0 || point === stroke.length / 3 - 1
    }),
  )
}

class Pad {
  #canvas
  #input
  #strokes = []
  #scale = 1
  #began = null
  #pointer = null

  constructor(canvas) {
    this.#canvas = canvas
    this.#input = canvas.closest("[data-pad]").querySelector("input")
    new ResizeObserver(() => this.fit()).observe(canvas)
    canvas.addEventListener("pointerdown", (event) => this.#begin(event))
    canvas.addEventListener("pointermove", (event) => this.#draw(event))
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.#end(event))
  }

  /** After turning the phone: nothing drawn may lie outside; the numbers stay as they were. */
  fit() {
    if (this.#pointer === null) this.#strokes = strokesIn(this.#input.value)
    const { clientWidth: width, clientHeight: height } = this.#canvas
    const reach = (first) =>
      Math.max(1, ...this.#strokes.map((stroke) => stroke.reduce((most, value, index) => (index % 3 === first ? Math.max(most, value) : most), 0)))
    const isEmpty = this.#strokes.length === 0
    this.#scale = isEmpty ? 1 : Math.min(1, width / (reach(0) + MARGIN), height / (reach(1) + MARGIN))
    // A finger that stays down while the phone turns goes on elsewhere: no line leads there.
    const isTurned = this.#pointer !== null && this.#canvas.width !== Math.floor(width * devicePixelRatio)
    if (isTurned && this.#strokes.at(-1)?.length) this.#strokes.push([])
    this.#canvas.width = width * devicePixelRatio
    this.#canvas.height = height * devicePixelRatio
    this.#redraw()
  }

  clear() {
    this.#strokes = []
    this.#began = null
    this.#canvas.classList.remove("pad-full")
    this.#keep()
    this.fit()
  }

  #begin(event) {
    if (this.#pointer !== null || !event.isPrimary || event.button > 0) return
    event.preventDefault()
    this.#pointer = event.pointerId
    // a point of a pen that has just left the glass cannot be captured
    try { this.#canvas.setPointerCapture(event.pointerId) } catch {}
    this.#began ??= event.timeStamp - (this.#strokes.at(-1)?.at(-1) ?? 0)
    this.#strokes.push([])
    this.#add(event)
  }

  #draw(event) {
    if (event.pointerId !== this.#pointer) return
    const events = event.getCoalescedEvents?.() ?? []
    for (const each of events.length ? events : [event]) this.#add(each)
  }

  #end(event) {
    if (event.pointerId !== this.#pointer) return
    this.interrupt()
  }

  /** A call came, or the screen went dark: what was drawn counts, and the pen is up. */
  interrupt() {
    if (this.#pointer === null) return
    this.#pointer = null
    this.#strokes = this.#strokes.filter((stroke) => stroke.length)
    this.#keep()
  }

  #add(event) {
    const box = this.#canvas.getBoundingClientRect()
    const stroke = this.#strokes.at(-1)
    // what is kept is what can be seen: a finger beyond the edge draws along it
    const x = Math.round(between(0, event.clientX - box.left - this.#canvas.clientLeft, this.#canvas.clientWidth) / this.#scale)
    const y = Math.round(between(0, event.clientY - box.top - this.#canvas.clientTop, this.#canvas.clientHeight) / this.#scale)
    if (stroke.length && stroke.at(-3) === x && stroke.at(-2) === y) return
    if (this.#count() >= POINTS) {
      this.#strokes = thin(this.#strokes)
      this.#redraw()
      if (this.#count() >= POINTS) return this.#canvas.classList.add("pad-full")
    }
    this.#strokes.at(-1).push(x, y, Math.max(0, Math.round(event.timeStamp - this.#began)))
    this.#ink(this.#strokes.at(-1), Math.max(0, this.#strokes.at(-1).length / 3 - 3))
  }

  #count() {
    return this.#strokes.reduce((sum, stroke) => sum + stroke.length / 3, 0)
  }

  #redraw() {
    const pen = this.#canvas.getContext("2d")
    const scale = this.#scale * devicePixelRatio
    pen.setTransform(1, 0, 0, 1, 0, 0)
    pen.clearRect(0, 0, this.#canvas.width, this.#canvas.height)
    pen.setTransform(scale, 0, 0, scale, 0, 0)
    pen.lineWidth = PEN / this.#scale
    pen.lineCap = pen.lineJoin = "round"
    pen.strokeStyle = getComputedStyle(this.#canvas).color
    for (const stroke of this.#strokes) this.#ink(stroke, 0)
  }

  /** Draw `stroke` from its point `from` on: curves through the middles between points. */
  #ink(stroke, from) {
    const pen = this.#canvas.getContext("2d")
    const at = (index) => [stroke[index * 3], stroke[index * 3 + 1]]
    const middle = (index) => [(at(index)[0] + at(index + 1)[0]) / 2, (at(index)[1] + at(index + 1)[1]) / 2]
    const last = stroke.length / 3 - 1
    if (last < 0) return
    pen.beginPath()
    pen.moveTo(...(from > 0 ? middle(from) : at(0)))
    for (let index = from + 1; index < last; index += 1) pen.quadraticCurveTo(...at(index), ...middle(index))
    // a line of no length leaves no ink: a dot is a very short one
    pen.lineTo(at(last)[0] + (last ? 0 : 0.1), at(last)[1])
    pen.stroke()
  }

  #keep() {
    this.#input.value = this.#strokes.length ? JSON.stringify(this.#strokes) : ""
    this.#input.dispatchEvent(new Event("input", { bubbles: true }))
  }
}

function between(low, value, high) {
  return Math.min(high, Math.max(low, value))
}

/** The strokes that a form came back with. */
function strokesIn(text) {
  try {
    const strokes = JSON.parse(text)
    return Array.isArray(strokes) ? strokes.filter((stroke) => Array.isArray(stroke) && stroke.length >= 3) : []
  } catch {
    return []
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") return
  for (const canvas of document.querySelectorAll("[data-pad] canvas")) pads.get(canvas)?.interrupt()
})

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-pad-clear]")
  if (button) pads.get(button.closest("[data-pad]").querySelector("canvas"))?.clear()
})
