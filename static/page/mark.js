// Drawing on a photo with a finger: circles, arrows, lines, in one strong colour. The photo itself is
// left as it is; what comes out is a new picture. Fetched at its first use.

const COLOUR = "#e4002b"
const EDGE = "#fff" // around the colour: red on a red cable would not be seen
/** Of the picture's long edge. */
const WIDTH = 1 / 110
const QUALITY = 0.85
/** A shorter way is a tap, and draws nothing. */
const LEAST = 1 / 100

/**
 * Let somebody draw on `photo` in `dialog`.
 * @param {HTMLDialogElement} dialog
 * @param {Blob} photo
 * @returns {Promise<Blob | null>} the picture with what was drawn; null when nothing is to be kept
 */
export async function mark(dialog, photo) {
  const picture = await createImageBitmap(photo, { imageOrientation: "from-image" })
  const canvas = dialog.querySelector("[data-mark-canvas]")
  const find = (what) => dialog.querySelector(`[data-mark-${what}]`)
  const marks = []
  let tool = "circle"
  let drawing = null
  Object.assign(canvas, { width: picture.width, height: picture.height })
  const long = Math.max(picture.width, picture.height)
  const pen = canvas.getContext("2d")

  const paint = () => {
    pen.drawImage(picture, 0, 0)
    for (const each of [...marks, ...(drawing ? [drawing] : [])]) draw(pen, each, long * WIDTH)
    find("undo").disabled = find("keep").disabled = !marks.length
  }
  const pointAt = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect()
    return [((clientX - box.left) / box.width) * canvas.width, ((clientY - box.top) / box.height) * canvas.height]
  }
  const begin = (event) => {
    if (drawing || !event.isPrimary) return
    event.preventDefault()
    canvas.setPointerCapture(event.pointerId)
    drawing = { tool, points: [pointAt(event)] }
  }
  const go = (event) => {
    if (!drawing || !event.isPrimary) return
    drawing.points.push(pointAt(event))
    paint()
  }
  const end = () => {
    const finished = drawing
    drawing = null
    if (finished && span(finished.points) > long * LEAST) marks.push(finished)
    paint()
  }
  const choose = (chosen) => {
    tool = chosen
    for (const button of dialog.querySelectorAll("[data-mark-tool]")) {
      button.setAttribute("aria-pressed", button.dataset.markTool === tool)
    }
  }
  const press = ({ target }) => {
    const button = target.closest("button")
    if (!button) return
    if (button.dataset.markTool) choose(button.dataset.markTool)
    else if (button === find("undo")) (marks.pop(), paint())
    else dialog.close(button === find("keep") ? "keep" : "")
  }

  const listeners = { pointerdown: begin, pointermove: go, pointerup: end, pointercancel: end }
  for (const [name, listener] of Object.entries(listeners)) canvas.addEventListener(name, listener)
  dialog.addEventListener("click", press)
  dialog.returnValue = ""
  choose(tool)
  paint()
  dialog.showModal()
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }))
  for (const [name, listener] of Object.entries(listeners)) canvas.removeEventListener(name, listener)
  dialog.removeEventListener("click", press)
  const isKept = dialog.returnValue === "keep" && marks.length > 0
  const drawn = isKept && (await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY)))
  picture.close()
  Object.assign(canvas, { width: 1, height: 1 }) // a phone has little memory for pictures
  return drawn || null
}

/** How far the points lie apart, at most. */
function span(points) {
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]))
  return Math.hypot(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys))
}

function draw(pen, { tool, points }, width) {
  const path = { circle, arrow, line }[tool](points, width)
  pen.lineCap = pen.lineJoin = "round"
  for (const [style, thickness] of [[EDGE, width * 1.8], [COLOUR, width]]) {
    pen.strokeStyle = style
    pen.lineWidth = thickness
    pen.stroke(path)
  }
}

/** From corner to corner of the finger's way. */
function circle(points) {
  const path = new Path2D()
  const [[x, y], [right, low]] = [points[0], points.at(-1)]
  path.ellipse((x + right) / 2, (y + low) / 2, Math.abs(right - x) / 2, Math.abs(low - y) / 2, 0, 0, 2 * Math.PI)
  return path
}

/** Its tip is where the finger was lifted. */
function arrow(points, width) {
  const path = new Path2D()
  const [[x, y], [tipX, tipY]] = [points[0], points.at(-1)]
  const angle = Math.atan2(tipY - y, tipX - x)
  path.moveTo(x, y)
  path.lineTo(tipX, tipY)
  for (const side of [-1, 1]) {
    const back = angle + Math.PI + (side * Math.PI) / 7
    path.moveTo(tipX, tipY)
    path.lineTo(tipX + Math.cos(back) * width * 5, tipY + Math.sin(back) * width * 5)
  }
  return path
}

function line(points) {
  const path = new Path2D()
  path.moveTo(...points[0])
  for (const point of points) path.lineTo(...point)
  return path
}
