// @ts-check
/** The visits as this phone shows them: what was pulled, with its own operations on top. */
import { catalogue } from "./generated.js"
import { overlay } from "./overlay.js"
import { isId } from "./perform.js"
import { Problem } from "./problem.js"
import { readMeta, readOutbox, readSetting, readUnsentPhotos, readVisit, readVisits } from "./store.js"

/** Who is signed in on this phone; Problem("access.sign-in") while it is locked. */
export async function currentPerson() {
  const person = await readSetting("person")
  if (!person) throw new Problem("access.sign-in")
  return person
}

/** The policy pack of the person's organisation. */
export function policyOf(person) {
  return readMeta(person.id, "policy")
}

/** The state of one visit; Problem("visit.not-found") when this phone does not show it. */
export async function visitFor(person, visit) {
  const state = await heldVisitFor(person, visit)
  if (isGone(state)) throw new Problem("visit.not-found")
  return state
}

/** The same, also of a visit that was taken away meanwhile: what was begun on it is still kept. */
export async function heldVisitFor(person, visit) {
  const row = await readVisit(person.id, visit)
  if (!row) throw new Problem("visit.not-found")
  const [operations, photos, paused] = await Promise.all([
    readOutbox(person.id, visit),
    readUnsentPhotos(person.id),
    readMeta(person.id, "paused"),
  ])
  return shown(person, row, operations, photos, paused)
}

/** Whether this phone knows a visit of that id, shown or not. */
export async function isHere(person, visit) {
  return (await readVisit(person.id, visit)) !== undefined
}

/**
 * The state of a visit that nobody knows yet, for `person` to open; Problem("opening.not-ready")
 * when the office never said what it has of such a visit, Problem("visit.not-found") for no id.
 */
export async function blankVisit(person, visit) {
  if (!isId(visit)) throw new Problem("visit.not-found")
  const blank = await readMeta(person.id, "blank")
  if (!blank) throw new Problem("opening.not-ready")
  return { ...blank.state, visit: { ...blank.state.visit, id: visit } }
}

/** The states of all visits that this phone shows. */
export async function allVisits(person) {
  const [rows, operations, photos, paused] = await Promise.all([
    readVisits(person.id),
    readOutbox(person.id),
    readUnsentPhotos(person.id),
    readMeta(person.id, "paused"),
  ])
  const states = rows.map((row) =>
    shown(
      person,
      row,
      operations.filter((each) => each.visit === row.visit),
      photos,
      paused,
    ),
  )
  return states.filter((state) => !isGone(state))
}

/** Whether a visit was taken away and nothing of it is still to be sent. */
function isGone({ sync }) {
  return sync.removed && sync.arrived === sync.items && !sync.photos
}

function shown(person, row, operations, unsentPhotos, paused) {
  const bodies = (state) => operations.filter((each) => each.state === state).map((each) => each.body)
  const [held, unsent] = [bodies("held"), bodies("unsent")]
  let state = row.state
  if (held.length) state = overlay(state, withThoseAhead("held", operations), catalogue, true)
  if (unsent.length) state = overlay(state, withThoseAhead("unsent", operations), catalogue, false)
  const photos = unsentPhotos.filter((photo) => photo.visit === row.visit).length
  const pulled = row.state.sync
  return {
    ...state,
    people: { ...state.people, [person.id]: person.name },
    sync: {
      items: pulled.items + held.length + unsent.length,
      arrived: pulled.arrived + held.length,
      // Of a visit that was taken away the office tells nothing new.
      photos: row.removed ? photos : Math.max(photos, pulled.photos),
      paused: paused ?? "",
      removed: row.removed ?? "",
    },
  }
}

/**
 * What the pulled state lacks, `unsent` or `held`, and what the office has about it already: it
 * cannot show what became of an operation that it did not have. In the order of the outbox.
 */
function withThoseAhead(lacking, operations) {
  const lacked = operations.filter((each) => each.state === lacking)
  const missing = new Set(lacked.map(({ body }) => body.id))
  const isAbout = (body) => about(body).some((id) => missing.has(id))
  return operations
    .filter(({ state, body }) => state === lacking || (state !== "unsent" && isAbout(body)))
    .map((each) => each.body)
}

/** The operations that one strikes out, corrects or takes the place of. */
function about({ value, supersedes }) {
  const corrected = Object.keys(value).map((path) => path.split("/")[1])
  return [value.entry, ...corrected, ...Object.values(supersedes).flat()]
}
