// @ts-check
/** A photo small enough for a strip: thirty whole ones would fill a phone's memory. */

const LONG_EDGE = 320
const QUALITY = 0.8

/**
 * The same photo with a long edge of at most 320 px; whole where this browser cannot shrink it.
 * @param {{bytes: ArrayBuffer, type: string}} photo
 * @returns {Promise<{bytes: ArrayBuffer, type: string}>}
 */
export async function thumbnail({ bytes, type }) {
  try {
    const picture = await createImageBitmap(new Blob([bytes], { type }), { imageOrientation: "from-image" })
    const scale = Math.min(1, LONG_EDGE / Math.max(picture.width, picture.height))
    const [width, height] = [picture.width, picture.height].map((edge) => Math.max(1, Math.round(edge * scale)))
    const canvas = new OffscreenCanvas(width, height)
    const pen = canvas.getContext("2d")
    pen.imageSmoothingQuality = "high"
    pen.drawImage(picture, 0, 0, width, height)
    picture.close()
    const small = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY })
    return { bytes: await small.arrayBuffer(), type: small.type }
  } catch {
    return { bytes, type } // no picture to this browser, or no canvas in its worker
  }
}
