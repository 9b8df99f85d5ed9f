// @ts-check
/** `/visits…`: the engineer's pages, answered here. Reads line for line like fieldapp/engineer.py. */
import { canonical, sha256 } from "./canonical.js"
import { agreed, newestQuote } from "./consent.js"
import { hashOfBytes } from "./digest.js"
import { day } from "./format.js"
import { oneByOne, onlyChanged, readHeads, readValue, readWas, timed, writeForm } from "./forms.js"
import { catalogue, coverage, headers, messages, onPaper } from "./generated.js"
import { choosePin, handOver, isTouch, lockOf, readDraft, unlock } from "./lock.js"
import { missing, othersFirst, WHICH } from "./missing.js"
import {
  chooseDisplay,
  currentLanguage,
  formPage,
  installPage,
  lockPage,
  page,
  pinPage,
  revokedPage,
  seeOther,
  settingsPage,
  syncPage,
  visitPage,
  visitsPage,
} from "./pages.js"
import { newId, newToken, perform, sign } from "./perform.js"
import { Problem } from "./problem.js"
import { get, post, put } from "./routes.js"
import { facts, snapshotText } from "./snapshot.js"
import { briefly, unsentFile, wholly } from "./standing.js"
import { keepBlob, readBlob, readUnsent, writeMeta, writeSetting } from "./store.js"
import { synchronise } from "./sync.js"
import { thumbnail } from "./thumbnail.js"
import { validate } from "./validate.js"
import {
  allVisits,
  blankVisit,
  currentPerson,
  heldVisitFor,
  isHere,
  policyOf,
  visitFor,
} from "./visits.js"

/** The kind whose form opens a visit. */
const OPENING = "opening"
/** How long "try now" keeps its page waiting. */
const PATIENCE_MS = 5000
/** "Today" of a person without visits, who has no organisation's offsets yet. */
const NO_VISITS_OFFSETS = [["1970-01-01T00:00:00Z", 480]]

get("/visits", async (_, { url }) => {
  const person = await currentPerson()
  const states = await allVisits(person)
  const offsets = states.length ? states[0].context.organisation.offsets : NO_VISITS_OFFSETS
  const today = day(now(), offsets)
  const phone = await briefly(person, offsets)
  const args = visitsPage(person, states, await policyOf(person), today, url.searchParams, phone)
  return page("engineer/visits.html", args)
})

get("/visits/sync", async () => {
  const person = await currentPerson()
  const states = await allVisits(person)
  const offsets = states.length ? states[0].context.organisation.offsets : NO_VISITS_OFFSETS
  const phone = await wholly(person, offsets)
  return page("engineer/sync.html", syncPage(person, states, await policyOf(person), phone))
})

post("/visits/sync", async (_, { request }) => {
  const person = await currentPerson()
  const form = await readForm(request)
  if (form.read) await writeMeta(person.id, { emptied: null })
  // Who waits behind a bad line sees the page again all the same; it changes when the sync ends.
  else await Promise.race([synchronise({ isPatient: true }), later(PATIENCE_MS)])
  return seeOther(localPath((form.back ?? ["/visits/sync"])[0]))
})

get("/visits/sync/file", async () => {
  const { name, stream } = await unsentFile(await currentPerson())
  const disposition = `attachment; filename*=UTF-8''${encodeURIComponent(name).replaceAll("'", "%27")}`
  const type = { "Content-Type": "application/json", "Content-Disposition": disposition }
  return new Response(stream, { headers: { ...headers, ...type } })
})

get("/visits/pin", async () => {
  const person = await currentPerson()
  return page("engineer/pin.html", pinPage(person, await lockOf(person.id)))
})

post("/visits/pin", async (_, { request }) => {
  const person = await currentPerson()
  const posted = await readForm(request)
  if (posted.later) {
    await writeMeta(person.id, { pin_later: true })
    return seeOther("/visits")
  }
  const [current, pin, repeat] = ["current", "pin", "repeat"].map((name) => (posted[name] ?? [""])[0])
  const finding = await choosePin(person.id, { current, pin, repeat })
  if (!finding.code) return seeOther("/visits/pin")
  return page("engineer/pin.html", pinPage(person, await lockOf(person.id), finding), 422)
})

get("/visits/lock", async (_, { url }) => {
  const person = await currentPerson()
  const lock = await lockOf(person.id)
  const back = localPath(url.searchParams.get("back") ?? "")
  if (!lock.is_idle && !lock.visit) return seeOther(back)
  return page("engineer/lock.html", lockPage(person, lock, back))
})

post("/visits/lock", async (_, { request, url }) => {
  const person = await currentPerson()
  const posted = await readForm(request)
  const back = localPath(url.searchParams.get("back") ?? "")
  const told = await unlock(person.id, (posted.pin ?? [""])[0])
  if (!told.code) return seeOther(told.visit ? `/visits/${told.visit}` : back)
  return page("engineer/lock.html", lockPage(person, await lockOf(person.id), back, told), 422)
})

get("/visits/revoked", async () => {
  const person = await currentPerson()
  const { operations, photos } = await readUnsent(person.id)
  return page("engineer/revoked.html", revokedPage(person, operations.length, photos.length))
})

get("/visits/install", async () => {
  const person = await currentPerson()
  const states = await allVisits(person)
  const offsets = states.length ? states[0].context.organisation.offsets : NO_VISITS_OFFSETS
  const phone = await briefly(person, offsets)
  return page("engineer/install.html", installPage(person, states, await policyOf(person), phone))
})

get("/visits/new", async () => {
  await currentPerson()
  return seeOther(`/visits/${newId(Date.now())}/openings`)
})

get("/visits/<visit_id>", async ({ visit_id }) => {
  const person = await currentPerson()
  const state = await visitFor(person, visit_id)
  return page("engineer/visit.html", visitPage(person, state, await policyOf(person)))
})

get("/visits/<visit_id>/<noun>", async ({ visit_id, noun }, { request, url }) => {
  const person = await currentPerson()
  const kind = kindOf(noun)
  if (await isOpened(person, visit_id, kind)) return seeOther(`/visits/${visit_id}`)
  const state = await stateFor(person, visit_id, kind)
  const was = shownFirst(kind, state, url.searchParams)
  let form = writeForm(fieldsOf(kind, state, url.searchParams), was, offsetsOf(state))
  if (kind.policy === "sign" && !missing(state, await policyOf(person)).length) {
    if (isTouch(request)) await handOver(person.id, visit_id)
    const shown = { seen: await seenOf(state), signed: String(state.signatures.length) }
    form = { ...form, ...known(kind, await readDraft(person.id, visit_id, shown)) }
  }
  return editPage(person, state, kind, url.searchParams, form, was, [])
})

post("/visits/<visit_id>/<noun>", async ({ visit_id, noun }, { request, url }) => {
  const person = await currentPerson()
  const kind = kindOf(noun)
  if (await isOpened(person, visit_id, kind)) return seeOther(`/visits/${visit_id}`)
  const state = await stateFor(person, visit_id, kind)
  const policy = await policyOf(person)
  const posted = await readForm(request)
  const about = new URLSearchParams([
    ...url.searchParams,
    ...(posted.entry && kind.name !== "photo" ? [["entry", posted.entry[0]]] : []),
  ])
  const fields = fieldsOf(kind, state, about)
  if (kind.policy === "void") entryOf(state, about)
  const read = (one) => timed(fields, readValue(fields, one, offsetsOf(state)), Date.now())
  const values = (kind.name === "photo" ? oneByOne(fields, posted) : [posted]).map(read)
  const retake = retakeOf(kind, state, about, posted)
  let [value, ...others] = values
  const choices = choicesOf(policy, value.list)
  let findings = values.map((one) => validate(fields, one, choices, coverage)).find((some) => some.length) ?? []
  if (retake) findings.push(...validate(catalogue.void.fields, retake, choices, coverage))
  if (!findings.length && kind.policy === "sign") {
    findings = await unsigned(state, policy, posted)
    if (!findings.length) findings = othersFirst(state, policy, value)
  }
  if (!findings.length && kind.name === "consent") findings = undecided(state, value, posted)
  if (findings.length) {
    const shown = writeForm(fields, readValue(fields, posted, offsetsOf(state)), offsetsOf(state))
    if (retake) shown.reason = retake.reason ?? ""
    return editPage(person, state, kind, about, shown, readWas(posted), findings, 422)
  }
  let heads = readHeads(posted)
  if (kind.name === "consent") value.agreed = agreed(state, value.quote)
  if (kind.name === "signature-request") value.token = newToken()
  if (kind.policy === "sign") value = await sign(state, value, await currentLanguage())
  else if (["set", "correction"].includes(kind.policy)) value = onlyChanged(fields, value, posted)
  if (kind.policy === "correction") {
    ;[value, heads] = correction(entryOf(state, about), value, heads)
  }
  const isNothing = ["set", "correction"].includes(kind.policy) && !Object.keys(value).length
  const opened = kind.name === OPENING ? state : undefined
  for (const one of isNothing ? [] : unheardOf(kind, state, [value, ...others], retake)) {
    await perform(person, kind, visit_id, one, heads, opened)
  }
  if (retake) await perform(person, catalogue.void, visit_id, retake, {})
  // The customer still holds the phone: the page that its owner leaves comes again, with thanks.
  return seeOther(`/visits/${visit_id}${isInHand(kind, about) ? "/signatures" : ""}`)
})

put("/visits/<visit_id>/photos/<sha256>", async ({ visit_id, sha256: name }, { request }) => {
  const person = await currentPerson()
  await heldVisitFor(person, visit_id)
  const type = request.headers.get("Content-Type") ?? ""
  const bytes = await request.arrayBuffer()
  if ((await hashOfBytes(bytes)) !== name) throw new Problem("blob.hash-mismatch")
  await keepBlob(person.id, { sha256: name, visit: visit_id, type, bytes })
  return new Response(null, { status: 204, headers })
})

get("/visits/<visit_id>/photos/<sha256>", async ({ sha256: name }, { request, url }) => {
  const person = await currentPerson()
  const whole = await readBlob(person.id, name)
  if (!whole) return fetch(request)
  const blob = url.searchParams.has("small") ? await thumbnail(whole) : whole
  const type = blob.type.startsWith("image/") ? blob.type : "image/jpeg"
  return new Response(blob.bytes, { headers: { ...headers, "Content-Type": type } })
})

post("/visits/language", async (_, { request }) => {
  const form = await readForm(request)
  const [language] = form.language ?? []
  if (Object.hasOwn(messages, language)) {
    await writeSetting("language", language)
    const body = new URLSearchParams({ language })
    // The server's pages follow when they can; this phone's have changed already.
    fetch("/language", { method: "POST", body, redirect: "manual" }).catch(() => {})
  }
  return seeOther(localPath((form.back ?? [""])[0]))
})

get("/visits/settings", async () => {
  const person = await currentPerson()
  const states = await allVisits(person)
  const offsets = states.length ? states[0].context.organisation.offsets : NO_VISITS_OFFSETS
  const phone = await briefly(person, offsets)
  return page("engineer/settings.html", settingsPage(person, states, await policyOf(person), phone))
})

post("/visits/display", async (_, { request }) => {
  const form = await readForm(request)
  await chooseDisplay((form.display ?? [])[0])
  return seeOther(localPath((form.back ?? [""])[0]))
})

/** `path` when it lies on this site, else the list. */
function localPath(path) {
  return path.startsWith("/") && !/^\/[/\\]|[\r\n]/.test(path) ? path : "/visits"
}

/** Whether a form would open a visit that is here already: it was sent twice. */
async function isOpened(person, visit, kind) {
  return kind.name === OPENING && (await isHere(person, visit))
}

/** What a form is about: a visit held here, or the blank one that it opens. */
function stateFor(person, visit, kind) {
  return kind.name === OPENING ? blankVisit(person, visit) : heldVisitFor(person, visit)
}

function kindOf(noun) {
  const kind = Object.values(catalogue).find((each) => each.noun === noun)
  if (!kind || !kind.roles.includes("engineer")) throw new Problem("page.unknown")
  return kind
}

/** The entry that a void or a correction is about. */
function entryOf(state, about) {
  const id = about.get("entry")
  const entry = [...state.entries, ...state.signatures].find((each) => each.id === id)
  if (!entry || isCustomers(entry)) throw new Problem("entry.not-found")
  return entry
}

/** Whether it is the customer's own word: nobody else takes it back. */
function isCustomers({ kind }) {
  return catalogue[kind]?.roles.includes("customer") ?? false
}

/** The texts of a draft that are fields of `kind`. */
function known(kind, texts) {
  const names = kind.fields.map(({ name }) => name)
  return Object.fromEntries(Object.entries(texts).filter(([name]) => names.includes(name)))
}

/**
 * The fields the form asks for; a correction asks for those of its entry.
 *
 * What somebody signed is never corrected, and a photo is taken again instead.
 */
function fieldsOf(kind, state, about) {
  if (kind.policy !== "correction") return kind.fields
  const corrected = catalogue[entryOf(state, about).kind]
  const isAsked = corrected.policy === "add" && corrected.name !== "photo"
  if (!isAsked || isForCustomer(corrected)) throw new Problem("entry.not-found")
  return corrected.fields
}

/** Whether a form for photos is about one that was taken before. */
function isRetake(kind, about) {
  return kind.name === "photo" && Boolean(about.get("entry"))
}

/** The photo that the form is about. */
function takenOf(state, about) {
  const entry = entryOf(state, about)
  if (entry.kind !== "photo") throw new Problem("entry.not-found")
  return entry
}

/** What strikes out the photo that new ones take the place of; null when there is none. */
function retakeOf(kind, state, about, posted) {
  if (!isRetake(kind, about)) return null
  const struckOut = { entry: [takenOf(state, about).id], reason: posted.reason ?? [] }
  return readValue(catalogue.void.fields, struckOut, [])
}

/**
 * `values` without photos that stand there with the same words: sent twice, they are one. The photo
 * that is struck out by `retake` stands there no more.
 */
function unheardOf(kind, state, values, retake) {
  if (kind.name !== "photo") return values
  const stands = (entry) => !entry.voids.length && entry.id !== retake?.entry
  const standing = new Set(state.entries.filter(stands).map((entry) => canonical(entry.value)))
  return values.filter((value) => !standing.has(canonical(value)))
}

/** The values a form shows first: what is there for a set or a correction, else defaults. */
function shownFirst(kind, state, about) {
  if (isRetake(kind, about)) {
    const known = Object.entries(takenOf(state, about).value)
    return Object.fromEntries(known.filter(([name]) => ["slot", "caption"].includes(name)))
  }
  if (kind.policy === "correction") return entryOf(state, about).value
  if (kind.policy === "set") {
    const known = kind.fields.filter(({ name }) => state.fields[`${kind.name}/${name}`])
    return Object.fromEntries(
      known.map(({ name }) => [name, state.fields[`${kind.name}/${name}`].value]),
    )
  }
  if (kind.policy === "void") return { entry: entryOf(state, about).id }
  const atOnce = kind.fields.filter((field) => field.default === "now")
  const value = Object.fromEntries(atOnce.map(({ name }) => [name, "now"]))
  const quoted = kind.fields.filter((field) => field.default === "quote")
  for (const { name } of quoted) value[name] = newestQuote(state)
  const named = kind.fields.filter((field) => field.default === "contact")
  for (const { name } of named) value[name] = state.context.contact.name
  if (kind.policy === "sign" && about.get("name")) value.name = about.get("name")
  const which = about.get("list")
  return which ? { ...value, [WHICH[kind.name] ?? "list"]: which } : value
}

async function editPage(person, state, kind, about, form, was, findings, status = 200) {
  const isAbout = ["void", "correction"].includes(kind.policy) || isRetake(kind, about)
  const entry = isAbout ? entryOf(state, about) : null
  const more = {
    heads: canonical(headsOf(kind, state, entry)),
    was: canonical(was),
    entry,
    seen: kind.policy === "sign" ? await seenOf(state) : "",
    agreed: kind.name === "consent" ? agreed(state, form.quote) : "",
    lang: isForCustomer(kind) || isInHand(kind, about) ? customersLanguage(state) : "",
    has_pin: (await lockOf(person.id)).has_pin,
  }
  const policy = await policyOf(person)
  const args = formPage(person, state, policy, kind, form, findings, more)
  return page(templateOf(kind, about), args, status)
}

/** The signature's page, another one of the hand-over, or the engineer's own form. */
function templateOf(kind, about) {
  if (kind.policy === "sign") return "engineer/signature.html"
  return isInHand(kind, about) ? "engineer/handed.html" : "engineer/form.html"
}

/** Whether the customer fills it in during the hand-over; a refusal may be the engineer's word too. */
function isInHand(kind, about) {
  const isRefusing = kind.name === "refusal" && about.get("by") === "customer"
  return kind.policy === "sign" || kind.name === "rating" || isRefusing
}

/** Whether the phone is handed to the customer for it. */
function isForCustomer(kind) {
  return kind.policy === "sign" || kind.name === "consent"
}

/** The heads whose values the form shows. */
function headsOf(kind, state, entry) {
  const starts = { set: `${kind.name}/`, correction: `entries/${entry?.id}/` }
  const start = starts[kind.policy]
  if (!start) return {}
  const cells = Object.entries(state.fields).filter(([path]) => path.startsWith(start))
  return Object.fromEntries(cells.map(([path, cell]) => [path, cell.heads]))
}

/** The changed fields by path, with the heads their author saw. */
function correction(entry, value, heads) {
  const paths = Object.entries(value).map(([name, item]) => [`entries/${entry.id}/${name}`, item])
  return [
    Object.fromEntries(paths),
    Object.fromEntries(paths.map(([path]) => [path, heads[path] ?? [entry.id]])),
  ]
}

/** The contact's language, if we speak it; empty otherwise. */
function customersLanguage(state) {
  const language = state.context.contact.language
  return Object.hasOwn(messages, language) ? language : ""
}

/** The digest of what the hand-over page shows. */
function seenOf(state) {
  return sha256(snapshotText(facts(state, onPaper), state.context))
}

/** A decision counts for the quotation that was on the screen. */
function undecided(state, value, posted) {
  const text = agreed(state, value.quote)
  if (!text) return [{ field: "decision", code: "consent.no-quote", detail: "" }]
  const isSeen = (posted.agreed ?? [])[0] === text
  return isSeen ? [] : [{ field: "strokes", code: "form.stale", detail: "" }]
}

/** A signature counts for what was on the screen: what changed meanwhile is shown first. */
async function unsigned(state, policy, posted) {
  const isSeen = (posted.seen ?? [])[0] === (await seenOf(state))
  if (isSeen && !missing(state, policy).length) return []
  return [{ field: "strokes", code: "form.stale", detail: "" }]
}

/** Every text of a form by its name. */
async function readForm(request) {
  const form = await request.formData()
  /** @type {Record<string, string[]>} */
  const posted = {}
  for (const [name, text] of form) {
    if (typeof text === "string") (posted[name] ??= []).push(text)
  }
  return posted
}

function choicesOf(policy, list) {
  const keys = (items) => items.map((item) => item.key)
  const choices = Object.fromEntries(
    Object.entries(policy.lists).map(([name, items]) => [name, keys(items)]),
  )
  const offered = list ? [policy.checklists[list] ?? []] : Object.values(policy.checklists)
  return { ...choices, checklist: offered.flatMap(keys) }
}

function offsetsOf(state) {
  return state.context.site.offsets
}

function later(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function now() {
  return `${new Date().toISOString().slice(0, 19)}Z`
}
