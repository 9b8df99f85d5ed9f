// The camera as a reader of bar codes: the browser's own reader where it has one, else the one that is
// kept beside the shell. Fetched at its first use.
//
// The camera runs only while its sheet is open: it stops with the sheet, behind another window and
// when the page goes.

const FORMATS = ["code_128", "code_39", "ean_13", "ean_8", "upc_a", "qr_code", "data_matrix"]
const LINES = /128|39|ean|upc/i
const BETWEEN_MS = 120
const LIVE_EDGE = 1280
const PICTURE_EDGE = 2600
/** How far from the middle, of the picture's edges, a code counts as aimed at. */
const AIM = { x: 0.42, y: 0.25 }

/**
 * Let somebody scan in `dialog`; null when he would rather not.
 * @param {HTMLDialogElement} dialog
 * @param {(text: string) => boolean} isKnown whether a text names something that is expected here
 * @returns {Promise<{text: string, format: string} | null>}
 */
export async function scan(dialog, isKnown) {
  const find = (what) => dialog.querySelector(`[data-scan-${what}]`)
  const [video, choices, torch, said] = ["video", "choices", "torch", "said"].map(find)
  const say = (what) => (said.textContent = said.dataset[what])
  const leaving = new AbortController()
  const { signal } = leaving
  const reader = newReader()
  let stream = null
  let result = null

  const take = (code) => {
    result = code
    navigator.vibrate?.(60)
    dialog.close()
  }
  const offer = (codes) => {
    choices.replaceChildren(...codes.map((code) => choice(code, take)))
    choices.hidden = false
    say("several")
  }
  const readFile = async (input) => {
    const [file] = input.files
    input.value = "" // the same file may be chosen again
    say("wait")
    try {
      const codes = distinct(await reader.read(await pictureOf(file)))
      const known = codes.filter((code) => isKnown(code.text))
      if (known.length === 1 || codes.length === 1) take(known[0] ?? codes[0])
      else if (codes.length) offer(codes)
      else say("none")
    } catch (error) {
      console.warn(error.message)
      say(error instanceof NoReader ? "later" : "none")
    }
  }
  const light = async () => {
    const isOn = torch.getAttribute("aria-pressed") !== "true"
    await stream.getVideoTracks()[0].applyConstraints({ advanced: [{ torch: isOn }] })
    torch.setAttribute("aria-pressed", isOn)
  }

  dialog.addEventListener("click", ({ target }) => target.closest("[data-scan-type]") && dialog.close(), { signal })
  dialog.addEventListener("change", ({ target }) => target.files?.length && readFile(target), { signal })
  torch.addEventListener("click", () => light().catch((error) => console.warn(error.message)), { signal })
  document.addEventListener("visibilitychange", () => document.hidden && dialog.close(), { signal })
  document.addEventListener("htmx:before:swap", () => dialog.close(), { signal })
  addEventListener("pagehide", () => dialog.close(), { signal })

  choices.hidden = torch.hidden = true
  torch.setAttribute("aria-pressed", false)
  find("view").hidden = false
  say("wait")
  dialog.showModal()
  const closed = new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }))
  closed.then(() => leaving.abort())
  try {
    stream = await openCamera()
    if (signal.aborted) return null
    video.srcObject = stream
    await video.play()
    torch.hidden = !stream.getVideoTracks()[0].getCapabilities?.().torch
    say("looking")
    const code = await aimedAt(video, reader, isKnown, signal)
    if (code) take(code)
  } catch (error) {
    if (!signal.aborted) {
      console.warn(error.message)
      if (!(error instanceof NoReader)) find("view").hidden = true
      say(error instanceof NoReader ? "later" : "absent")
    }
  } finally {
    await closed
    for (const track of stream?.getTracks() ?? []) track.stop()
    video.srcObject = null
    said.textContent = ""
    reader.end()
  }
  return result
}

class NoReader extends Error {}

async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error("no camera can be asked for")
  const video = { facingMode: { ideal: "environment" }, width: { ideal: 1920 }, height: { ideal: 1080 } }
  return navigator.mediaDevices.getUserMedia({ video, audio: false })
}

/** The code that is aimed at; bars without a check digit count when they were read twice alike. */
async function aimedAt(video, reader, isKnown, signal) {
  let before = ""
  while (!signal.aborted) {
    const picture = video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && pixels(video, video.videoWidth, video.videoHeight, LIVE_EDGE)
    const codes = picture ? nearest(await reader.read(picture), picture) : []
    const code = codes.find((each) => isKnown(each.text)) ?? codes[0]
    if (code && !signal.aborted && (!LINES.test(code.format) || code.text === before)) return code
    before = code?.text ?? ""
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS))
  }
  return null
}

/** What lies in the frame, the middle first. */
function nearest(codes, { width, height }) {
  const far = ({ at }) => [Math.abs(at.x / width - 0.5), Math.abs(at.y / height - 0.5)]
  const inside = codes.filter((code) => far(code)[0] <= AIM.x && far(code)[1] <= AIM.y)
  return inside.sort((one, other) => Math.hypot(...far(one)) - Math.hypot(...far(other)))
}

function distinct(codes) {
  return [...new Map(codes.map((code) => [code.text, code])).values()]
}

function choice(code, take) {
  const button = document.createElement("button")
  Object.assign(button, { type: "button", className: "button quiet serial", textContent: code.text })
  button.addEventListener("click", () => take(code))
  return button
}

async function pictureOf(file) {
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" })
  const data = pixels(picture, picture.width, picture.height, PICTURE_EDGE)
  picture.close()
  return data
}

function pixels(source, width, height, edge) {
  const scale = Math.min(1, edge / Math.max(width, height))
  const canvas = document.createElement("canvas")
  Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) })
  const pen = canvas.getContext("2d", { willReadFrequently: true })
  pen.drawImage(source, 0, 0, canvas.width, canvas.height)
  return pen.getImageData(0, 0, canvas.width, canvas.height)
}

/** `{read(picture), end()}`: the browser's own reader when it knows all our codes, else ours. */
function newReader() {
  let own = null
  const ours = nativeReader().then((native) => native ?? (own = workerReader()))
  ours.catch(() => {}) // said at the first reading
  return {
    read: async (picture) => (await ours).read(picture),
    end: () => own?.end(),
  }
}

async function nativeReader() {
  const known = (await globalThis.BarcodeDetector?.getSupportedFormats?.()) ?? []
  if (!FORMATS.every((format) => known.includes(format))) return null
  const detector = new BarcodeDetector({ formats: FORMATS })
  const code = ({ rawValue: text, format, boundingBox: { x, y, width, height } }) => ({
    text, format, at: { x: x + width / 2, y: y + height / 2 },
  })
  return { read: async (picture) => (await detector.detect(picture)).map(code) }
}

function workerReader() {
  const worker = new Worker("/static/page/decoder.js")
  const waiting = new Map()
  let asked = 0
  let trouble = null
  const giveUp = (event) => {
    event?.preventDefault() // it is said in the sheet
    trouble = new NoReader("the reader of bar codes is not on this phone")
    for (const { reject } of waiting.values()) reject(trouble)
    waiting.clear()
  }
  worker.addEventListener("error", giveUp)
  worker.addEventListener("message", ({ data: { id, codes, error } }) => {
    if (error) return giveUp(null)
    waiting.get(id)?.resolve(codes)
    return waiting.delete(id)
  })
  return {
    read: (picture) =>
      new Promise((resolve, reject) => {
        if (trouble) return reject(trouble)
        waiting.set(++asked, { resolve, reject })
        return worker.postMessage({ id: asked, picture }, [picture.data.buffer])
      }),
    end: () => worker.terminate(),
  }
}
