// Serial and part numbers: read by the camera or typed, and compared at once with what the office
// knows. What is said is a hint and stops nobody; what was read is never changed on the quiet.
//
// Two numbers are one only when they are equal, as the office's rules compare them. Fetched at its
// first use.

import { scan } from "./scan.js"

const SERIAL = /^[A-Za-z0-9][A-Za-z0-9 ./_-]{0,63}$/
const MARKED = /(?:\bS\/?N|\bserial(?:[ _-]?(?:no|number|nr))?\.?|序列号|出厂编号|机身号)(?:\s*[:：=#]\s*|\s+)([A-Za-z0-9][A-Za-z0-9./_-]*)/i
const NAMES = ["sn", "s", "serial", "serialno", "serial_no", "serialnumber", "serial_number"]
const PRODUCT = /ean|upc/i

/**
 * The serial number in what a code says: one that is known, one marked as such, the last part of an
 * address, or all of it; empty when there is none.
 * @param {string} text
 * @param {string[]} known
 */
export function serialIn(text, known) {
  const whole = text.trim()
  const parts = whole.split(/[\s,;|=:：/?&#()\x1d]+/).filter(Boolean)
  const expected = known.find((serial) => serial === whole) ?? known.find((serial) => parts.includes(serial))
  const found = expected ?? (/^https?:\/\//i.test(whole) ? inAddress(whole) : (MARKED.exec(whole)?.[1] ?? whole))
  return SERIAL.test(found) ? found : ""
}

function inAddress(text) {
  try {
    const address = new URL(text)
    const named = [...address.searchParams].find(([name]) => NAMES.includes(name.toLowerCase()))
    // a percent sign that begins no character throws: there is no number in such an address
    return named ? named[1] : decodeURIComponent(address.pathname.split("/").filter(Boolean).at(-1) ?? "")
  } catch {
    return ""
  }
}

/**
 * What is to be said of `value` where a thing of one kind is expected.
 * @param {string} value
 * @param {string} expects "asset", "van", "loaner", "original", "part" or empty
 * @param {{value: string, is: string, name: string}[]} known
 * @returns {{code: string, good: boolean, name: string}[]} codes of sentences, the first the verdict
 */
export function verdict(value, expects, known) {
  if (!value) return []
  const same = known.filter((thing) => thing.value === value)
  const wanted = known.filter((thing) => thing.is === expects)
  const right = same.find((thing) => thing.is === expects)
  if (right) return [{ code: `${expects}-yes`, good: true, name: right.name }]
  const else_ = same.slice(0, 1).map(({ is, name }) => ({ code: `${is}-yes`, good: !expects, name }))
  if (!expects || (expects === "asset" && !wanted.length)) return else_
  const alike = wanted.find((thing) => folded(thing.value) === folded(value))
  if (alike) return [{ code: "alike", good: false, name: alike.value }, ...else_]
  return [{ code: `${expects}-no`, good: false, name: wanted.map((thing) => thing.value).join(" · ") }, ...else_]
}

/** Alike to the eye: without signs and capitals, with O for 0 and I for 1. */
function folded(serial) {
  return serial.toUpperCase().replace(/[^A-Z0-9]/g, "").replaceAll("O", "0").replaceAll("I", "1")
}

/** What the page knows by number: the machine, what is in the van, what was lent. */
function knownHere() {
  return [...document.querySelectorAll("datalist [data-is]")].map(({ value, dataset, text }) => ({
    value, is: dataset.is, name: text.trim(), code: dataset.code ?? "",
  }))
}

/** Say below a number what is known of it. */
export function tell(input, first = []) {
  const said = document.getElementById(`known-${input.name}`)
  const words = document.querySelector("[data-known-words]").dataset
  const lines = [...first, ...verdict(input.value.trim(), input.dataset.expects, knownHere())]
  const sentence = ({ code, name }) => words[code.replace(/-(\w)/g, (_, letter) => letter.toUpperCase())]?.replace("{name}", name ?? "")
  said.replaceChildren(...lines.map((line) => {
    const shown = document.createElement("span")
    shown.className = line.good ? "known-good" : line.good === false ? "known-not" : ""
    shown.textContent = sentence(line)
    return shown
  }))
}

/** Let somebody scan the number that a button stands beside. */
export async function scanInto(button) {
  const input = document.getElementById(button.dataset.scan)
  const known = knownHere()
  const isPart = input.dataset.expects === "part"
  const isKnown = (text) => known.some(({ value, code }) => (isPart ? code === text : value === serialIn(text, [value])))
  const found = await scan(document.querySelector("[data-scan-sheet]"), isKnown)
  if (!found) return
  const part = isPart && known.find(({ code }) => code && code === found.text.trim())
  const value = isPart ? (part ? part.value : found.text.trim()) : serialIn(found.text, known.map((thing) => thing.value))
  const read = value === found.text ? [] : [{ code: "read", name: found.text }]
  if (!value) return void tell(input, [...read, { code: "unreadable", good: false }])
  input.value = value
  input.dispatchEvent(new Event("input", { bubbles: true }))
  const product = !isPart && PRODUCT.test(found.format) ? [{ code: "product", good: false }] : []
  tell(input, [...read, ...product])
}
