// What the customer enters while he holds the phone goes to the worker at once: a call, a lock screen
// or a browser that is killed must not make him begin again. The worker keeps it for as long as the
// phone is his, and gives the strokes back only to the page they were drawn on.

const SECRET = "[type=file], [type=password]"

function note({ target }) {
  const form = (target.form ?? target.closest?.("form"))?.closest("form[data-handed]")
  if (!form) return
  const fields = {}
  for (const control of form.elements) {
    const isOff = (control.type === "radio" || control.type === "checkbox") && !control.checked
    if (control.name && !isOff && !control.matches(SECRET)) fields[control.name] = control.value
  }
  const { seen, ...entered } = fields
  const { handed: visit, signed } = form.dataset
  navigator.serviceWorker?.controller?.postMessage({ type: "handed", visit, seen, signed, fields: entered })
}

document.addEventListener("input", note)
document.addEventListener("change", note)
