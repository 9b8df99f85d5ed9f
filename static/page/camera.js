// A photo is made small here, kept by whoever answers (the worker, else the server), and the form
// carries only its hash.

const LONG_EDGE = 1600
const QUALITY = 0.8
const NO_ROOM = 507
const previews = new Map()

/** Show the photo of a form that comes back with one. */
export function showPhotos() {
  for (const box of document.querySelectorAll("[data-photo]")) {
    const sha256 = box.querySelector("input[type=hidden]").value
    if (/^[0-9a-f]{64}$/.test(sha256) && !previews.has(box)) show(box, box.dataset.photo + sha256)
  }
}

/** Let go of the pictures of pages that are gone. */
export function forgetPhotos() {
  for (const [box, address] of previews) {
    if (box.isConnected) continue
    URL.revokeObjectURL(address)
    previews.delete(box)
  }
}

/**
 * The photo as a JPEG with a long edge of at most 1600 px, upright.
 *
 * A JPEG that is small enough stays as it is, and so does a file this browser cannot decode: it is
 * evidence, and the office may be able to.
 * @param {Blob} file
 * @returns {Promise<Blob>}
 */
export async function downscale(file) {
  let picture
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" })
  } catch {
    return file
  }
  const scale = Math.min(1, LONG_EDGE / Math.max(picture.width, picture.height))
  if (scale === 1 && file.type === "image/jpeg") return file
  const canvas = document.createElement("canvas")
  canvas.width = Math.max(1, Math.round(picture.width * scale))
  canvas.height = Math.max(1, Math.round(picture.height * scale))
  const pen = canvas.getContext("2d")
  pen.fillStyle = "#fff" // JPEG knows no transparency and would make it black
  pen.fillRect(0, 0, canvas.width, canvas.height)
  pen.imageSmoothingQuality = "high"
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height)
  picture.close()
  return (await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY))) ?? file
}

class NoRoom extends Error {}

async function sha256Of(bytes) {
  const digest = await crypto.subtle.digest("SHA-256", bytes)
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}

async function keep(box, file) {
  const photo = await downscale(file)
  // bytes, not a Blob: WebKit hands its worker an empty body for Blobs
  const bytes = await photo.arrayBuffer()
  const sha256 = await sha256Of(bytes)
  const answer = await fetch(box.dataset.photo + sha256, {
    method: "PUT",
    body: bytes,
    headers: { "Content-Type": photo.type || "application/octet-stream" },
  })
  if (answer.status === NO_ROOM) throw new NoRoom("photo not kept: this phone is full")
  if (!answer.ok || answer.redirected) throw new Error(`photo not kept: ${answer.status}`)
  return { sha256, photo }
}

function show(box, address) {
  const picture = box.querySelector("[data-photo-shown]")
  URL.revokeObjectURL(previews.get(box) ?? "")
  previews.set(box, address)
  picture.onerror = () => (picture.hidden = true) // kept, but not for this browser's eyes
  picture.src = address
  picture.hidden = false
  say(box, "kept")
}

function say(box, what) {
  const said = box.querySelector("[data-photo-said]")
  said.textContent = said.dataset[what]
  said.classList.toggle("finding", what !== "kept" && what !== "keeping")
}

async function chosen(input) {
  const box = input.closest("[data-photo]")
  const save = input.form?.querySelector(".save")
  const hidden = box.querySelector("input[type=hidden]")
  say(box, "keeping")
  input.disabled = true // one photo at a time
  if (save) save.disabled = true
  try {
    const { sha256, photo } = await keep(box, input.files[0])
    hidden.value = sha256
    show(box, URL.createObjectURL(photo))
    hidden.dispatchEvent(new Event("input", { bubbles: true }))
  } catch (error) {
    console.warn(error.message)
    say(box, error instanceof NoRoom ? "full" : "failed")
  } finally {
    input.value = "" // the same file may be chosen again
    input.disabled = false
    if (save) save.disabled = false
  }
}

document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-photo-file]") && event.target.files.length) chosen(event.target)
})
