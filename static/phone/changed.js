// @ts-check
/**
 * What was signed and is no longer so: the customer is asked to sign again.
 * Twin of sync/changed.py, cases in tests/vectors/changed.json.
 */

/** The role of a signature that is not the customer's. */
export const ENGINEER = "engineer"
/** Kinds of policy `set` that stand on the signed paper. */
const SIGNED = ["diagnosis", "fault", "outcome"]

/**
 * What changed of that which the customer's newest standing signature covers, as
 * `{kind, entry, field}`; an entry that was struck out has no field.
 * @param {any} state
 */
export function changes(state) {
  const newest = state.signatures
    .filter((entry) => entry.voids.length === 0 && entry.value.role !== ENGINEER)
    .at(-1)
  if (!newest) return []
  const covered = new Set(newest.frontier)
  const kinds = new Map()
  const found = []
  for (const { id, kind, voids } of state.entries) {
    if (!covered.has(id) || isAny(voids, covered)) continue
    kinds.set(id, kind)
    if (voids.length > 0) found.push({ kind, entry: id, field: "" })
  }
  for (const path of Object.keys(state.fields).sort(compare)) {
    if (state.fields[path].sides.every((side) => isAny([side], covered))) continue
    const [head, ...rest] = path.split("/")
    if (!rest.at(-1)) continue // it names no field
    if (SIGNED.includes(head) && rest.length === 1) {
      found.push({ kind: head, entry: "", field: rest[0] })
    } else if (head === "entries" && rest.length === 2 && kinds.has(rest[0])) {
      found.push({ kind: kinds.get(rest[0]), entry: rest[0], field: rest[1] })
    }
  }
  return found
}

/** Whether one of `items`, or one whose value it chose, is covered. */
function isAny(items, covered) {
  return items.some((item) =>
    [item.operation, ...(item.chose ?? [])].some((id) => covered.has(id)),
  )
}

/** By UTF-16 code unit, as paths sort. */
function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0
}
