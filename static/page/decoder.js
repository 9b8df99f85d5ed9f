// Reads bar codes, in a worker of its own: a classic one, whose answer alone may compile WebAssembly
// (fieldapp/headers.py), so that no page may. Fetched at its first use.
//
// Asked {id, picture: ImageData}, it answers {id, codes: [{text, format, at: {x, y}}]} or {id, error}.

importScripts("/static/vendor/zxing-reader.js")

/** What stands on machines, parts and their boxes. */
const READING = { formats: ["Code128", "Code39", "EAN13", "EAN8", "UPCA", "QRCode", "DataMatrix"], maxNumberOfSymbols: 8 }
const ready = ZXingWASM.prepareZXingModule({
  overrides: { locateFile: () => "/static/vendor/zxing-reader.wasm" },
  fireImmediately: true,
})

addEventListener("message", async ({ data: { id, picture } }) => {
  try {
    await ready
    const found = await ZXingWASM.readBarcodes(picture, READING)
    postMessage({ id, codes: found.filter((each) => each.isValid).map(code) })
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error) })
  }
})

function code({ text, format, position }) {
  const corners = [position.topLeft, position.topRight, position.bottomRight, position.bottomLeft]
  const middle = (axis) => corners.reduce((sum, corner) => sum + corner[axis], 0) / corners.length
  return { text, format, at: { x: middle("x"), y: middle("y") } }
}
