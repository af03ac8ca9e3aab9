// What every page must keep to, looked at in the page itself. `problems()` returns sentences; none is good.
const shown = (element) => {
  if (!element.getClientRects().length) return false;
  const style = getComputedStyle(element);
  return style.visibility !== "hidden" && style.display !== "none" && !element.closest("[hidden]");
};
const clipped = (element) => element.closest(".hidden") !== null;
const where = (element) => {
  const id = element.id ? `#${element.id}` : "";
  const text = (element.textContent || element.getAttribute("aria-label") || "").trim().slice(0, 40);
  return `<${element.tagName.toLowerCase()}${id}> ${text}`;
};
const named = (element) => {
  const by = element.getAttribute("aria-labelledby");
  if (by) return by.split(/\s+/).map((id) => document.getElementById(id)?.textContent || "").join(" ").trim();
  if (element.getAttribute("aria-label")) return element.getAttribute("aria-label").trim();
  if (element.labels?.length) return Array.from(element.labels, (label) => label.textContent).join(" ").trim();
  if (element.matches("input, select, textarea")) return "";
  const images = Array.from(element.querySelectorAll("img"), (image) => image.alt).join(" ");
  return `${element.textContent} ${images}`.trim();
};
const colour = (text) => {
  const parts = text.match(/[\d.]+/g);
  if (!parts) return [0, 0, 0, 0];
  let [r, g, b, a = 1] = parts.map(Number);
  if (text.startsWith("color(srgb")) [r, g, b] = [r * 255, g * 255, b * 255];
  return [r, g, b, a];
};
const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
const ground = (element) => {
  const layers = [];
  for (let each = element; each; each = each.parentElement) {
    const paint = colour(getComputedStyle(each).backgroundColor);
    if (paint[3] > 0) layers.push(paint);
    if (paint[3] === 1) break;
  }
  const page = colour(getComputedStyle(document.body).backgroundColor);
  return layers.reverse().reduce((under, layer) => over(layer, under), page);
};
const light = (rgb) => {
  const [r, g, b] = rgb.slice(0, 3).map((value) => {
    const part = value / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
  const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};

const structure = (found) => {
  if (!document.documentElement.lang) found.push("the page has no language");
  if (!document.title.trim()) found.push("the page has no title");
  if (document.querySelectorAll("main").length !== 1) found.push("the page has not one main landmark");
  const skip = document.querySelector("a.skip");
  if (!skip || !document.querySelector(skip.getAttribute("href"))) found.push("the skip link leads nowhere");
  for (const nav of document.querySelectorAll("nav")) {
    if (!nav.getAttribute("aria-label")) found.push(`a navigation has no name: ${where(nav)}`);
  }
  let level = 0;
  const headings = Array.from(document.querySelectorAll("h1, h2, h3, h4, h5, h6")).filter(shown);
  if (headings.filter((each) => each.tagName === "H1").length !== 1) found.push("the page has not one first heading");
  for (const heading of headings) {
    const its = Number(heading.tagName[1]);
    if (its > level + 1) found.push(`a heading skips a level: ${where(heading)}`);
    if (!heading.textContent.trim()) found.push("a heading is empty");
    level = its;
  }
  const ids = Array.from(document.querySelectorAll("[id]"), (each) => each.id);
  for (const id of ids.filter((each, place) => ids.indexOf(each) !== place)) found.push(`the id ${id} stands twice`);
  for (const name of ["for", "aria-describedby", "aria-labelledby"]) {
    for (const each of document.querySelectorAll(`[${name}]`)) {
      for (const id of each.getAttribute(name).split(/\s+/)) {
        if (!document.getElementById(id)) found.push(`${name} of ${where(each)} names ${id}, which is not there`);
      }
    }
  }
};

const names = (found) => {
  for (const each of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']")) {
    if (shown(each) && !named(each)) found.push(`nothing names ${where(each)}`);
    if (each.tabIndex > 0) found.push(`the order of the keyboard is forced: ${where(each)}`);
  }
  for (const image of document.querySelectorAll("img")) {
    if (image.getAttribute("alt") === null) found.push("an image has no alt");
  }
  for (const drawing of document.querySelectorAll("svg")) {
    const told = drawing.getAttribute("aria-hidden") === "true";
    if (!told && !(drawing.getAttribute("role") === "img" && drawing.getAttribute("aria-label"))) {
      found.push(`a drawing is neither named nor hidden: ${where(drawing.parentElement)}`);
    }
  }
  for (const table of document.querySelectorAll("table")) {
    if (!table.caption) found.push("a table has no caption");
    for (const cell of table.querySelectorAll("th")) {
      if (!cell.getAttribute("scope")) found.push(`a head cell has no scope: ${where(cell)}`);
    }
  }
  for (const badge of document.querySelectorAll(".badge")) {
    if (!badge.textContent.trim() || !badge.querySelector("svg")) found.push("a state is told by its colour alone");
  }
};

const eyes = (found) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !shown(element) || clipped(element) || element.closest("svg, script, option")) continue;
    if (element.closest("button:disabled")) continue;
    const style = getComputedStyle(element);
    const behind = ground(element);
    const ratio = contrast(over(colour(style.color), behind), behind);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`too little contrast (${ratio.toFixed(2)}): ${where(element)}`);
  }
  for (const each of document.querySelectorAll("button, select, input:not([type=hidden])")) {
    if (!shown(each) || clipped(each)) continue;
    const box = each.getBoundingClientRect();
    if (each.type !== "checkbox" && (box.width < 24 || box.height < 24)) found.push(`too small to hit: ${where(each)}`);
    if (!each.matches("button, [type=checkbox]")) {
      const edge = contrast(over(colour(getComputedStyle(each).borderTopColor), ground(each.parentElement)), ground(each.parentElement));
      if (edge < 3) found.push(`the edge of a field is hard to see (${edge.toFixed(2)}): ${where(each)}`);
    }
  }
};

const problems = () => {
  const found = [];
  structure(found);
  names(found);
  eyes(found);
  return Array.from(new Set(found));
};

const focused = () => {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const box = element.getBoundingClientRect();
  return { tag: element.tagName, name: element === document.body ? "" : named(element), ring: ring, inside: box.width > 0 };
};

const plain = (text) => text.replace(/\s+/g, " ").trim();
const find = (selector, name) => {
  const all = Array.from(document.querySelectorAll(selector)).filter(shown);
  return all.find((each) => plain(named(each)) === name) || all.find((each) => plain(named(each)).startsWith(name)) || null;
};
const field = (label) => {
  const all = Array.from(document.querySelectorAll("label"));
  return all.find((each) => plain(each.textContent).replace(/ required$/, "") === label)?.control || null;
};
