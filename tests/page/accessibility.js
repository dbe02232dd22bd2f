// What a person with a keyboard, a screen reader or weak eyes would stumble over on this page: a line for each.
() => {
  const complaints = [];
  const complain = (element, why) => complaints.push(`${element.outerHTML.slice(0, 120)}: ${why}`);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const seen = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });

  function name(element) {
    const labels = (element.getAttribute("aria-labelledby") || "").split(" ").filter(Boolean);
    return [
      element.getAttribute("aria-label"),
      ...labels.map((id) => document.getElementById(id)?.textContent),
      ...[...(element.labels || [])].map((label) => label.textContent),
      element.textContent,
    ].filter(Boolean).join(" ").trim();
  }

  for (const details of all("details")) details.open = true;
  if (document.documentElement.lang !== "en") complaints.push("the document has no language");
  if (!document.title) complaints.push("the document has no title");
  if (all("main").length !== 1) complaints.push("there is not one main landmark");
  if (all("h1").length !== 1) complaints.push("there is not one heading of the first level");
  if (document.documentElement.scrollWidth > innerWidth) complaints.push("the page scrolls sideways");

  let level = 0;
  for (const heading of all("main h1, main h2, main h3, main h4")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) complain(heading, `a level after ${level} is skipped`);
    level = own;
  }
  const ids = all("[id]").map((element) => element.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) complaints.push(`the id ${id} is there twice`);
  for (const element of all("a[href], button, summary")) if (!name(element)) complain(element, "it has no name");
  for (const element of all("input:not([type=hidden]), select, textarea")) {
    if (!element.labels.length && !element.hasAttribute("aria-label")) complain(element, "it has no label");
  }
  for (const element of all("nav, section, form[role=search]")) if (!name(element)) complain(element, "it has no name");
  for (const element of all("[aria-labelledby], [aria-describedby]")) {
    for (const id of `${element.getAttribute("aria-labelledby") || ""} ${element.getAttribute("aria-describedby") || ""}`.split(" ")) {
      if (id && !document.getElementById(id)) complain(element, `${id} is not there`);
    }
  }
  for (const header of all("th")) if (!header.scope) complain(header, "it has no scope");
  for (const row of all("tbody tr")) if (!row.querySelector("th[scope=row]")) complain(row, "it has no header");
  for (const element of all("[style], [onclick], script:not([src])")) complain(element, "it is inline");
  for (const element of all("[tabindex]")) if (element.tabIndex > 0) complain(element, "it changes the order of focus");

  // Contrast of each text with what is behind it (WCAG 2.2, 1.4.3).
  function colour(text) {
    const numbers = text.match(/-?[\d.]+(e-?\d+)?/g).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    const [r, g, b] = numbers.slice(0, 3).map((value) => value * scale);
    return [r, g, b, numbers[3] ?? 1];
  }
  function over(top, below) {
    const alpha = top[3];
    return [0, 1, 2].map((n) => top[n] * alpha + below[n] * (1 - alpha)).concat(1);
  }
  const grounds = new Map([[null, [255, 255, 255, 1]]]);
  function behind(element) {
    if (!grounds.has(element)) {
      const own = colour(getComputedStyle(element).backgroundColor);
      grounds.set(element, own[3] === 1 ? own : over(own, behind(element.parentElement)));
    }
    return grounds.get(element);
  }
  function luminance(rgb) {
    const [r, g, b] = rgb.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const judged = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || judged.has(element) || !seen(element)) continue;
    judged.add(element);
    const ground = behind(element);
    const ink = over(colour(getComputedStyle(element).color), ground);
    const [dark, light] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) complain(element, `its contrast is ${ratio.toFixed(2)}`);
  }
  return complaints;
}
