// What a reader would complain about on the page this runs in: a list of sentences.
// `isLong`: the page shows texts longer than any field was drawn for.
({ isLong, lang }) => {
  const TARGET_PX = 44
  const said = []
  const visible = (element) => {
    const box = element.getBoundingClientRect()
    const style = getComputedStyle(element)
    return box.width > 0 && box.height > 0 && style.visibility === "visible" && element.checkVisibility()
  }
  const all = (selector, root = document) => [...root.querySelectorAll(selector)].filter(visible)
  const name = (element) => {
    const text = (element.textContent || element.value || element.name || "").trim().replace(/\s+/g, " ")
    const classes = element.className && typeof element.className === "string" ? `.${element.className.trim().replace(/\s+/g, ".")}` : ""
    return `<${element.tagName.toLowerCase()}${classes}> “${text.slice(0, 40)}”`
  }

  // the page as a whole
  const root = document.documentElement
  if (root.scrollWidth > innerWidth) said.push(`the page is ${root.scrollWidth} px wide on ${innerWidth} px`)
  if (root.lang !== lang) said.push(`the page says it speaks ${root.lang}`)
  if (all("h1").length !== 1) said.push(`${all("h1").length} main headings`)
  if (!document.title.trim()) said.push("no title")
  if (all("main").length !== 1) said.push("no main part")
  for (const element of all("body *")) {
    if (element.closest("svg, canvas, .table, .strip")) continue
    const box = element.getBoundingClientRect()
    if (box.right > innerWidth + 0.5 || box.left < -0.5) said.push(`${name(element)} leaves the page sideways`)
  }

  // what a thumb must hit
  const controls = all("a[href], button, input, select, textarea, summary, [tabindex]")
  for (const control of controls) {
    const target = ["radio", "checkbox", "file"].includes(control.type) ? (control.closest("label") ?? control) : control
    const box = target.getBoundingClientRect()
    const isInText = getComputedStyle(target).display === "inline" && target.parentElement.textContent.trim() !== target.textContent.trim()
    if (!isInText && (box.width < TARGET_PX - 0.01 || box.height < TARGET_PX - 0.01)) {
      said.push(`${name(target)} is ${box.width.toFixed(1)} × ${box.height.toFixed(1)} px to hit`)
    }
  }

  // labels
  for (const control of all("input, select, textarea")) {
    const isNamed = control.labels?.length || control.getAttribute("aria-label")
    if (!isNamed) said.push(`${name(control)} has no label`)
    if (control.type === "radio" && !control.closest("fieldset")?.querySelector("legend")?.textContent.trim()) said.push(`${name(control)} is in no named group`)
  }
  for (const button of all("button, a[href]")) {
    if (!(button.textContent.trim() || button.getAttribute("aria-label") || button.querySelector("img[alt]")?.alt)) said.push(`${name(button)} says nothing`)
  }
  for (const image of all("img")) if (!image.alt) said.push("a picture without words")
  for (const id of [...document.querySelectorAll("[aria-describedby]")].flatMap((each) => each.getAttribute("aria-describedby").split(/\s+/))) {
    if (!document.getElementById(id)) said.push(`nothing is called ${id}`)
  }
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id)
  for (const id of new Set(ids)) if (ids.filter((each) => each === id).length > 1) said.push(`several elements are called ${id}`)

  // texts; of those cut to a few lines on purpose only the lines that are there
  const isShown = (box, parent) => {
    for (let at = parent; at; at = at.parentElement) {
      if (getComputedStyle(at).webkitLineClamp === "none") continue
      if (box.top >= at.getBoundingClientRect().bottom - 1) return false
    }
    return true
  }
  const texts = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const node = walker.currentNode
    const parent = node.parentElement
    if (!node.data.trim() || ["SCRIPT", "STYLE", "OPTION", "TEXTAREA"].includes(parent.tagName) || !visible(parent)) continue
    if (parent.closest(".unseen")) continue // read aloud only
    const range = document.createRange()
    range.selectNodeContents(node)
    const boxes = [...range.getClientRects()].filter((box) => box.width > 1 && box.height > 1 && isShown(box, parent))
    if (boxes.length) texts.push({ node, parent, boxes })
  }

  // nothing is cut off
  for (const element of new Set(texts.map(({ parent }) => parent))) {
    const style = getComputedStyle(element)
    if (style.display === "inline" || element.closest(".unseen")) continue
    if (element.scrollWidth > element.clientWidth + 1) said.push(`${name(element)} is wider than its box`)
    if (style.overflowY === "hidden" && element.scrollHeight > element.clientHeight + 1 && style.webkitLineClamp === "none") said.push(`${name(element)} is cut off below`)
  }
  if (!isLong) {
    for (const input of all("input:not([type=radio], [type=checkbox], [type=file])")) {
      if (input.scrollWidth > input.clientWidth + 1) said.push(`${name(input)} does not show its whole value`)
    }
  }

  // nothing lies over a text
  const isFloating = (element) => {
    for (let at = element; at; at = at.parentElement) if (["fixed", "sticky"].includes(getComputedStyle(at).position)) return true
    return false
  }
  const standing = texts.filter(({ parent }) => !isFloating(parent))
  for (const [index, one] of standing.entries()) {
    for (const other of standing.slice(index + 1)) {
      if (one.parent.contains(other.parent) || other.parent.contains(one.parent)) continue
      const meets = one.boxes.some((a) => other.boxes.some((b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > Math.min(a.height, b.height) * 0.35))
      if (meets) said.push(`${name(one.parent)} and ${name(other.parent)} lie over each other`)
    }
  }

  // contrast, WCAG 2.2, 1.4.3 and for edges of controls 1.4.11
  const channels = (colour) => {
    const found = colour.match(/[\d.]+/g).map(Number)
    return colour.startsWith("color(srgb") ? [...found.slice(0, 3).map((each) => each * 255), found[3] ?? 1] : [...found.slice(0, 3), found[3] ?? 1]
  }
  const over = (top, below) => [0, 1, 2].map((index) => top[index] * top[3] + below[index] * (1 - top[3])).concat(1)
  const ground = (element) => {
    const layers = []
    for (let at = element; at; at = at.parentElement) {
      const layer = channels(getComputedStyle(at).backgroundColor)
      layers.push(layer)
      if (layer[3] === 1) break
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1])
  }
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((each) => each / 255).map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b)
    return (high + 0.05) / (low + 0.05)
  }
  let least = 21
  for (const { parent } of texts) {
    const style = getComputedStyle(parent)
    const below = ground(parent)
    const found = contrast(over(channels(style.color), below), below)
    const size = parseFloat(style.fontSize)
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    least = Math.min(least, found)
    if (found < (isLarge ? 3 : 4.5)) said.push(`${name(parent)} has a contrast of ${found.toFixed(2)}`)
    if (size < 14) said.push(`${name(parent)} is ${size} px small`)
  }
  for (const input of all("input:not([type=radio], [type=checkbox], [type=file]), textarea, canvas.pad")) {
    const found = contrast(channels(getComputedStyle(input).borderTopColor), ground(input.parentElement))
    if (found < 3) said.push(`the edge of ${name(input)} has a contrast of ${found.toFixed(2)}`)
  }

  // whoever uses the keyboard sees where he is
  for (const control of controls) {
    if (control.disabled) continue
    control.focus({ preventScroll: true })
    if (document.activeElement !== control) continue
    const shower = control.closest(".photo-button") ?? control
    const style = getComputedStyle(shower)
    if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) said.push(`${name(control)} does not show that it has the focus`)
  }
  document.activeElement?.blur()
  return { said: [...new Set(said)], least, targets: controls.length, texts: texts.length }
}
