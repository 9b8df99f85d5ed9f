// @ts-check
/**
 * The steps of a visit and what must still be done before the customer may sign.
 * Twin of sync/missing.py, cases in tests/vectors/missing.json.
 */

import { ENGINEER } from "./changed.js"

/** The field that tells entries of a kind apart, where a policy asks for one of several. */
export const WHICH = { step: "list", signature: "role", photo: "slot" }

/** What stands between the names of a list: they are asked for one a line. */
const APART = /[\n、，；;]/
/** What makes no other name of a name. */
const UNHEARD = /[ \t\u00a0\u3000]/g

/**
 * The steps of the visit's job type in the policy's order, each with `done`. A step with a `when`
 * is needed only while an entry of that kind stands. After a change of what was signed no signature
 * of the customer's side is done any more.
 * @param {any} state
 * @param {any} policy
 */
export function steps(state, policy) {
  const jobType = jobTypeOf(state)
  if (!Object.hasOwn(policy.job_types, jobType)) return []
  return policy.job_types[jobType].steps.map((step) => ({
    ...step,
    needed: neededOf(state, step),
    done: isDone(state, policy, step),
  }))
}

/**
 * The steps needed for the signature that have nothing standing, as `{code, kind, list}`.
 * @param {any} state
 * @param {any} policy
 */
export function missing(state, policy) {
  const alone = withoutCustomer(state, policy)
  const found = steps(state, policy)
    .filter((step) => step.needed === "signature" && !step.done)
    .filter((step) => !alone || step.kind === "arrival")
    .map((step) => ({ code: "missing.entry", kind: step.kind, list: step.list }))
  if (state.visit.downtime_open) {
    found.push({ code: "missing.downtime-stop", kind: "downtime", list: "" })
  }
  return found
}

/**
 * Who must still sign, in the policy's order, as `{list, name}`: a role and a person's name, which
 * is empty where the policy asks for somebody in that role, whoever it is.
 * @param {any} state
 * @param {any} policy
 */
export function toSign(state, policy) {
  return steps(state, policy)
    .filter((step) => step.kind === "signature" && step.needed !== "never" && !step.done)
    .flatMap((step) => {
      const names = unsigned(state, step)
      return (names.length ? names : [""]).map((name) => ({ list: step.list, name }))
    })
}

/**
 * What keeps `signature` from being given now: who signs last waits for all who must sign, but not
 * for those who signed before a change: they may have gone home.
 * @param {any} state
 * @param {any} policy
 * @param {Record<string, any>} signature its value
 */
export function othersFirst(state, policy, signature) {
  const jobType = jobTypeOf(state)
  const job = Object.hasOwn(policy.job_types, jobType) ? policy.job_types[jobType] : {}
  const last = job.signs_last ?? ""
  if (!last || signature.role !== last) return []
  const before = { ...state, visit: { ...state.visit, changes: [] } }
  const waits = toSign(before, policy).some((one) => one.list !== last)
  return waits ? [{ field: "role", code: "signature.others-first", detail: "" }] : []
}

/** The work order's; before there is one, what the engineer said who opened the visit. */
function jobTypeOf(state) {
  const openings = state.entries.filter((entry) => entry.kind === "opening" && !entry.voids.length)
  const said = openings.map((entry) => entry.value.job_type)
  const ordered = state.context.work_order.job_type
  return [...said, ordered].filter((name) => typeof name === "string" && name).at(-1) ?? ""
}

function withoutCustomer(state, policy) {
  const arrivals = state.entries.filter(
    (entry) => entry.kind === "arrival" && entry.voids.length === 0,
  )
  return arrivals.length > 0 && policy.without_customer.includes(arrivals.at(-1).value.outcome)
}

function neededOf(state, step) {
  // a phone may hold a pack that knows of no conditions
  return step.when && !stands(state, step.when, "") ? "never" : step.needed
}

function isDone(state, policy, step) {
  const isAgain = step.kind === "signature" && step.list !== ENGINEER && state.visit.changes?.length
  const isThere = stands(state, step.kind, step.list) && !unsigned(state, step).length
  if (isThere && !isAgain) return true
  const others = Object.hasOwn(policy.alternatives, step.kind) ? policy.alternatives[step.kind] : []
  return others.some((kind) => stands(state, kind, ""))
}

function stands(state, kind, list) {
  if (Object.keys(state.fields).some((path) => path.startsWith(`${kind}/`))) return true
  return [...state.entries, ...state.signatures].some(
    (entry) =>
      entry.kind === kind &&
      entry.voids.length === 0 &&
      (!list || entry.value[WHICH[kind] ?? "list"] === list),
  )
}

/**
 * The names that entries of the kind `each` of a step give, whose signature is missing. Two of one
 * name in an entry are two people.
 */
function unsigned(state, step) {
  if (!step.each) return []
  const given = state.signatures
    .filter(({ voids, value }) => !voids.length && value.role === step.list)
    .map(({ value }) => value.name)
  const signed = new Set(numbered(given).map(([key]) => key))
  const asked = new Map()
  const entries = state.entries.filter(({ kind, voids }) => kind === step.each && !voids.length)
  for (const { value } of entries) {
    const names = typeof value.names === "string" ? value.names.split(APART) : []
    for (const [key, name] of numbered(names)) if (!asked.has(key)) asked.set(key, name)
  }
  return [...asked].filter(([key]) => !signed.has(key)).map(([, name]) => name)
}

/** Each name with a key: how it is heard, and the how manieth of that name it is. */
function numbered(names) {
  const count = new Map()
  const found = []
  for (const name of names) {
    const heard = typeof name === "string" ? small(name.replace(UNHEARD, "")) : ""
    if (!heard) continue
    count.set(heard, (count.get(heard) ?? 0) + 1)
    const shown = name.replace(/^[ \t\u00a0\u3000]+|[ \t\u00a0\u3000]+$/g, "")
    found.push([`${heard} ${count.get(heard)}`, shown])
  }
  return found
}

/** Only A to Z: what else is a small letter differs between browsers. */
function small(text) {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}
