// Photos are made small here, kept by whoever answers (the worker, else the server), and the form
// carries only their hashes: with spaces between them, `marked:unmarked` for one that was drawn on.
// A photo is seen as soon as it is small; what was seen before a reload comes back from its keeper.

const LONG_EDGE = 1600
const THUMBNAIL_EDGE = 320
const QUALITY = 0.8
const NO_ROOM = 507
const NAMED = /^[0-9a-f]{64}(:[0-9a-f]{64})?$/
/** By hash, the photos kept from this page: `{photo: Blob, whole, small}`, the last two addresses. */
const kept = new Map()

/** Show the photos of forms that come with some. */
export function showPhotos() {
  for (const box of document.querySelectorAll("[data-photo]")) {
    if (namesIn(box).length && box.querySelector("[data-photo-shown]").hidden) show(box, namesIn(box).length - 1)
  }
}

/** Let go of the pictures of pages that are gone. */
export function forgetPhotos() {
  const here = new Set([...document.querySelectorAll("[data-photo]")].flatMap(namesIn).flatMap((name) => name.split(":")))
  for (const [sha256, { whole, small }] of kept) {
    if (here.has(sha256)) continue
    for (const address of [whole, small]) URL.revokeObjectURL(address)
    kept.delete(sha256)
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
  return (await shrunk(file, LONG_EDGE)) ?? file
}

/** The picture as a JPEG with at most this long edge; null for a JPEG that is, or for no picture. */
async function shrunk(file, edge) {
  let picture
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" })
  } catch {
    return null
  }
  const scale = Math.min(1, edge / Math.max(picture.width, picture.height))
  if (scale === 1 && file.type === "image/jpeg") return null
  const canvas = document.createElement("canvas")
  canvas.width = Math.max(1, Math.round(picture.width * scale))
  canvas.height = Math.max(1, Math.round(picture.height * scale))
  const pen = canvas.getContext("2d")
  pen.fillStyle = "#fff" // JPEG knows no transparency and would make it black
  pen.fillRect(0, 0, canvas.width, canvas.height)
  pen.imageSmoothingQuality = "high"
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height)
  picture.close()
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY))
}

class NoRoom extends Error {}

async function sha256Of(bytes) {
  const digest = await crypto.subtle.digest("SHA-256", bytes)
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}

/** Give the photo to whoever keeps it; its hash. */
async function keep(box, photo) {
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
  if (!kept.has(sha256)) {
    const small = (await shrunk(photo, THUMBNAIL_EDGE)) ?? photo
    kept.set(sha256, { photo, whole: URL.createObjectURL(photo), small: URL.createObjectURL(small) })
  }
  return sha256
}

function namesIn(box) {
  return box.querySelector("input[type=hidden]").value.split(" ").filter((name) => NAMED.test(name))
}

function write(box, names) {
  const hidden = box.querySelector("input[type=hidden]")
  hidden.value = names.join(" ")
  hidden.dispatchEvent(new Event("input", { bubbles: true }))
}

/** Where the picture of a photo is to be had: here, else from its keeper. */
function addresses(box, name) {
  const [sha256] = name.split(":")
  const address = box.dataset.photo + sha256
  return kept.get(sha256) ?? { whole: address, small: `${address}?small` }
}

/** The strip of all photos, the one at `index` whole, and what can be done with it. */
function show(box, index) {
  const names = namesIn(box)
  const [picture, strip, tools] = ["shown", "strip", "tools"].map((what) => box.querySelector(`[data-photo-${what}]`))
  box.dataset.photoAt = index
  strip.replaceChildren(...names.map((name, at) => choice(box, name, at, at === index)))
  strip.hidden = names.length < 2
  picture.hidden = tools.hidden = !names.length
  if (!names.length) return say(box, "")
  picture.onerror = () => (picture.hidden = true) // kept, but not for this browser's eyes
  picture.src = addresses(box, names[index]).whole
  picture.alt = `${box.dataset.photoName} ${index + 1}`
  return say(box, "kept")
}

function choice(box, name, at, isChosen) {
  const [item, button, image] = ["li", "button", "img"].map((tag) => document.createElement(tag))
  Object.assign(button, { type: "button", className: "shot" })
  button.dataset.photoPick = at
  button.setAttribute("aria-pressed", isChosen)
  const label = `${box.dataset.photoName} ${at + 1}`
  button.setAttribute("aria-label", label)
  Object.assign(image, { src: addresses(box, name).small, alt: label, width: 104, height: 104 })
  button.append(image)
  item.append(button)
  return item
}

function say(box, what) {
  const said = box.querySelector("[data-photo-said]")
  said.textContent = what ? said.dataset[what] : ""
  said.classList.toggle("finding", ["full", "failed", "later", "unseen"].includes(what))
}

/** Do something that keeps photos; nothing can be saved meanwhile. */
async function busily(box, work) {
  const form = box.closest("form")
  const held = [...(form?.querySelectorAll(".save") ?? []), ...box.querySelectorAll("button, input[type=file]")]
  const open = held.filter((control) => !control.disabled)
  for (const control of open) control.disabled = true
  try {
    await work()
  } finally {
    for (const control of open) control.disabled = false
  }
}

/** Keep one photo by `work`; null, else what failed, which is said. */
async function failureOf(box, work) {
  say(box, "keeping")
  try {
    await work()
    return null
  } catch (error) {
    console.warn(error.message)
    const failure = error instanceof NoRoom ? "full" : "failed"
    say(box, failure)
    return failure
  }
}

/**
 * Every file becomes a photo of the form; with `at` the first takes the place of that one.
 *
 * A file that cannot be kept takes none of the others with it: nobody would miss them in time.
 */
function take(box, input, at) {
  return busily(box, async () => {
    const files = [...input.files]
    input.value = "" // the same file may be chosen again
    const failures = []
    for (const file of files) {
      failures.push(await failureOf(box, async () => {
        const name = await keep(box, await downscale(file))
        const named = namesIn(box)
        named[at ?? named.length] = name
        const names = [...new Set(named)] // one photo is in the form once
        write(box, names)
        show(box, names.indexOf(name))
      }))
    }
    const lost = failures.filter(Boolean)
    if (!lost.length) return
    say(box, lost.includes("full") ? "full" : "failed")
    if (files.length === 1) return
    const said = box.querySelector("[data-photo-said]")
    const sentence = said.dataset.some.replace("{lost}", lost.length).replace("{all}", files.length)
    said.textContent = lost.includes("full") ? `${said.textContent} ${sentence}` : sentence
  })
}

function leaveOut(box) {
  const at = Number(box.dataset.photoAt)
  const names = namesIn(box).filter((_, index) => index !== at)
  write(box, names)
  show(box, Math.min(at, names.length - 1))
}

/** The bytes of a photo, kept here or by its keeper. */
async function photoOf(box, sha256) {
  const here = kept.get(sha256)
  if (here) return here.photo
  const answer = await fetch(box.dataset.photo + sha256)
  if (!answer.ok) throw new Error(`photo not here: ${answer.status}`)
  return answer.blob()
}

/** Let the person draw on the photo that is shown; what was drawn on before begins anew. */
async function markShown(box) {
  const at = Number(box.dataset.photoAt)
  const unmarked = namesIn(box)[at].split(":").at(-1)
  let [mark, photo, drawn] = []
  try {
    ;({ mark } = await import("./mark.js"))
    photo = await photoOf(box, unmarked)
  } catch (error) {
    console.warn(error.message)
    return say(box, "later")
  }
  try {
    drawn = await mark(box.querySelector("[data-mark]"), photo)
  } catch (error) {
    console.warn(error.message)
    return say(box, "unseen") // it is here, but not for this browser's eyes
  }
  if (!drawn) return undefined
  return busily(box, () => failureOf(box, async () => {
    const name = `${await keep(box, drawn)}:${unmarked}`
    write(box, namesIn(box).map((other, index) => (index === at ? name : other)))
    show(box, at)
  }))
}

document.addEventListener("change", ({ target }) => {
  if (!target.matches?.("[data-photo-file], [data-photo-again]") || !target.files.length) return
  const box = target.closest("[data-photo]")
  take(box, target, target.matches("[data-photo-again]") ? Number(box.dataset.photoAt) : undefined)
})
document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-photo-pick], [data-photo-mark], [data-photo-remove]")
  const box = button?.closest("[data-photo]")
  if (!box) return
  if (button.matches("[data-photo-pick]")) show(box, Number(button.dataset.photoPick))
  else if (button.matches("[data-photo-mark]")) markShown(box)
  else leaveOut(box)
})
