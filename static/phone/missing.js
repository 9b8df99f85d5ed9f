// @ts-check
/**
 * The steps of a visit and what must still be done before the customer may sign.
 * Twin of sync/missing.py, cases in tests/vectors/missing.json.
 */

import { ENGINEER } from "./changed.js"

/** The field that tells entries of a kind apart, where a policy asks for one of several. */
export const WHICH = { step: "list", signature: "role", photo: "slot" }

/**
 * The steps of the visit's job type in the policy's order, each with `done`. After a change of
 * what was signed no signature of the customer's side is done any more.
 * @param {any} state
 * @param {any} policy
 */
export function steps(state, policy) {
  const jobType = jobTypeOf(state)
  if (!Object.hasOwn(policy.job_types, jobType)) return []
  return policy.job_types[jobType].steps.map((step) => ({
    ...step,
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
 * What keeps `signature` from being given now: who signs last waits for all who must sign.
 * @param {any} state
 * @param {any} policy
 * @param {Record<string, any>} signature its value
 */
export function othersFirst(state, policy, signature) {
  const jobType = jobTypeOf(state)
  const job = Object.hasOwn(policy.job_types, jobType) ? policy.job_types[jobType] : {}
  const last = job.signs_last ?? ""
  if (!last || signature.role !== last) return []
  const waits = steps(state, policy).some(
    (step) => step.kind === "signature" && step.list !== last && !step.done,
  )
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

function isDone(state, policy, step) {
  const isAgain = step.kind === "signature" && step.list !== ENGINEER
  if (!(isAgain && state.visit.changes?.length) && stands(state, step.kind, step.list)) return true
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
