// @ts-check
/**
 * What the customer signs. Twin of sync/snapshot.py, cases in
 * tests/vectors/snapshot.json. `onPaper` maps the kinds of the catalogue to signed, after or never.
 */
import { canonical } from "./canonical.js"

/**
 * What a signature given now would cover: sorted ids of operations and photos.
 * @param {any} state
 * @param {Record<string, string>} onPaper
 */
export function frontier(state, onPaper) {
  const operations = new Set()
  const photos = new Set()
  for (const entry of entriesOnPaper(state, onPaper)) {
    operations.add(entry.id)
    for (const each of entry.voids) operations.add(each.operation)
    const { sha256 } = entry.value
    const isShown = entry.kind === "photo" && entry.voids.length === 0
    if (isShown && typeof sha256 === "string") photos.add(sha256)
  }
  for (const [, cell] of fieldsOnPaper(state, onPaper)) {
    for (const id of cell.heads) operations.add(id)
  }
  return { operations: [...operations].sort(), photos: [...photos].sort() }
}

/**
 * The facts of `state` that stand on the signed paper.
 * @param {any} state
 * @param {Record<string, string>} onPaper
 */
export function facts(state, onPaper) {
  const values = new Map(
    fieldsOnPaper(state, onPaper).map(([path, cell]) => [path, valuesOf(cell)]),
  )
  const entries = entriesOnPaper(state, onPaper)
    .filter((entry) => entry.voids.length === 0)
    .sort((a, b) => compare(a.wall_at, b.wall_at) || compare(a.id, b.id))
    .map((entry) => {
      const corrected = entry.corrected.map((name) => [
        name,
        /** @type {any[]} */ (values.get(`entries/${entry.id}/${name}`))[0],
      ])
      const { id, kind, author, wall_at } = entry
      // Made from pairs: an assignment to a field called __proto__ would set something else.
      const value = Object.fromEntries([...Object.entries(entry.value), ...corrected])
      return { id, kind, author, wall_at, value }
    })
  const fields = [...values.keys()].sort().map((path) => ({ path, values: values.get(path) }))
  return { visit: state.visit.id, fields, entries }
}

/**
 * The canonical text of `{facts, context}`: what a digest is taken of.
 * @param {any} facts_
 * @param {any} context
 */
export function snapshotText(facts_, context) {
  return canonical({ facts: facts_, context })
}

function entriesOnPaper(state, onPaper) {
  return state.entries.filter((entry) => isSigned(onPaper, entry.kind))
}

function fieldsOnPaper(state, onPaper) {
  const shown = new Set(entriesOnPaper(state, onPaper).map((entry) => entry.id))
  return Object.entries(state.fields).filter(([path]) => {
    const [head, id] = path.split("/")
    return head === "entries" ? shown.has(id) : isSigned(onPaper, head)
  })
}

function isSigned(onPaper, kind) {
  return Object.hasOwn(onPaper, kind) && onPaper[kind] === "signed"
}

/** The different values of a cell in the order of their canonical text. */
function valuesOf(cell) {
  if (!cell.conflict) return [cell.value]
  const byText = new Map(cell.sides.map((side) => [canonical(side.value), side.value]))
  return [...byText.keys()].sort().map((text) => byText.get(text))
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0
}
