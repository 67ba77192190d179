"use strict";
/* One picture at full size beside its facts. */

const byId = (id) => document.getElementById(id);

class Viewer {
  constructor(source, catalogue, thumbnails) {
    Object.assign(this, { source, catalogue, thumbnails, order: [], place: -1 });
    this.dialog = byId("viewer");
    this.image = byId("picture");
    this.zoom = new Zoom(byId("stage"), this.image, byId("zoom-level"));
    byId("close").addEventListener("click", () => this.leave());
    byId("before").addEventListener("click", () => this.turn(-1));
    byId("after").addEventListener("click", () => this.turn(1));
    byId("zoom-in").addEventListener("click", () => this.zoom.by(1.5));
    byId("zoom-out").addEventListener("click", () => this.zoom.by(1 / 1.5));
    byId("zoom-reset").addEventListener("click", () => this.zoom.toggle());
    this.dialog.addEventListener("cancel", (event) => { event.preventDefault(); this.leave(); });
    this.dialog.addEventListener("keydown", (event) => this.pressed(event));
    this.image.addEventListener("error", () => this.explain());
    thumbnails.listeners.add((index) => this.fillMember(index));
  }

  get index() { return this.order[this.place]?.index; }

  /** Show a picture; `order` is what previous and next mean. */
  show(picture, order) {
    this.order = order.includes(picture) ? order : [picture];
    this.place = this.order.indexOf(picture);
    byId("fault").hidden = true;
    byId("viewer-name").textContent = picture.name;
    byId("before").disabled = this.place === 0;
    byId("after").disabled = this.place === this.order.length - 1;
    if (!this.dialog.open) { this.dialog.showModal(); this.dialog.focus(); }
    const small = this.thumbnails.get(picture.index)?.url;
    this.image.alt = picture.name;
    if (small) this.image.src = small; else this.image.removeAttribute("src");
    this.zoom.reset(picture.width, picture.height);
    this.load(picture.index);
    const download = byId("download");
    download.href = this.source.download(picture.index);
    if (this.source instanceof Embedded) download.download = `${picture.name.slice(picture.name.lastIndexOf("/") + 1).replace(/\.\w+$/, "")}.webp`;
    this.describe(picture);
    this.showSequence(picture);
  }

  load(index) {
    const whole = new Image();
    whole.onload = () => {
      if (this.index !== index) return;
      this.image.src = whole.src;
      const next = this.order[this.place + 1];
      if (next) new Image().src = this.source.picture(next.index);
    };
    whole.onerror = () => { if (this.index === index) this.explain(); };
    whole.src = this.source.picture(index);
  }

  async explain() {
    const index = this.index;
    let reason = "This picture cannot be decoded.";
    if (this.source instanceof Server) {
      try {
        const response = await fetch(this.source.picture(index));
        if (!response.ok) reason = await response.text();
      } catch { reason = "The server has ended: start unicorn view again."; }
    }
    if (this.index !== index) return;
    byId("fault").textContent = reason;
    byId("fault").hidden = false;
  }

  async describe(picture) {
    const facts = byId("facts");
    facts.replaceChildren(...rows(known(picture)));
    byId("metadata").replaceChildren();
    let values;
    try { values = await this.source.facts(picture.index); } catch { return; }
    if (this.index !== picture.index || !values) return;
    facts.replaceChildren(...rows([...known(picture), ...further(values)]));
    byId("metadata").replaceChildren(...metadata(values));
  }

  showSequence(picture) {
    const group = this.catalogue.sequences.get(picture.index);
    byId("sequence").hidden = !group;
    byId("members").replaceChildren(...(group ?? []).map((one) => {
      const link = document.createElement("a");
      link.href = `#${one.index}`;
      link.title = link.ariaLabel = one.name;
      link.dataset.index = one.index;
      if (one === picture) link.setAttribute("aria-current", "true");
      link.append(document.createElement("img"));
      link.firstChild.alt = "";
      link.addEventListener("click", (event) => { event.preventDefault(); go(one.index); });
      return link;
    }));
    if (!group) return;
    for (const one of group) this.fillMember(one.index);
    this.thumbnails.want(group.map((one) => one.index));
  }

  fillMember(index) {
    const link = byId("members").querySelector(`[data-index="${Number(index)}"]`);
    const url = link && this.thumbnails.get(index)?.url;
    if (url) link.firstChild.src = url;
  }

  turn(step) {
    const picture = this.order[this.place + step];
    if (picture) go(picture.index);
  }

  leave() { go(null); }

  hide() {
    if (this.dialog.open) this.dialog.close();
    this.image.removeAttribute("src");
    this.place = -1;
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      ArrowLeft: () => this.turn(-1), ArrowRight: () => this.turn(1),
      ArrowUp: () => this.turn(-1), ArrowDown: () => this.turn(1),
      Home: () => go(this.order[0].index), End: () => go(this.order.at(-1).index),
      "+": () => this.zoom.by(1.5), "=": () => this.zoom.by(1.5), "-": () => this.zoom.by(1 / 1.5),
      0: () => this.zoom.fit(), 1: () => this.zoom.to(1), d: () => byId("download").click(),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

const NUMBER = new Intl.NumberFormat("en");

function bytesText(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const unit = bytes < 1e6 ? ["kB", 1e3] : bytes < 1e9 ? ["MB", 1e6] : ["GB", 1e9];
  return `${(bytes / unit[1]).toFixed(1)} ${unit[0]}`;
}

function known(picture) {
  const rate = (8 * picture.bytes) / picture.pixels;
  return [
    ["Index", String(picture.index)],
    ["Size", `${NUMBER.format(picture.width)} \u00d7 ${NUMBER.format(picture.height)}`],
    ["Stored", picture.bytes ? `${NUMBER.format(picture.bytes)} bytes, ${picture.codec}` : picture.codec],
    picture.bytes ? ["Rate", `${rate.toPrecision(3)} bits per pixel`] : null,
    picture.psnr === "exact" ? ["PSNR", "identical"] : picture.psnr !== null ? ["PSNR", `${picture.psnr.toFixed(1)} dB`] : null,
    picture.date ? ["Date", picture.date.replace("T", " ")] : null,
  ].filter(Boolean);
}

function further(values) {
  return [
    values.date ? ["Date", values.date.replace("T", " ")] : null,
    values.modified && values.modified !== values.date ? ["Modified", values.modified.replace("T", " ")] : null,
    values.alpha_bytes ? ["Transparency", bytesText(values.alpha_bytes)] : null,
    values.depends_on?.length ? ["Depends on", values.depends_on.join(", ")] : null,
    values.stored_as ? ["File kept as", values.stored_as] : null,
    values.file_bytes !== null && values.file_bytes !== undefined ? ["Original", `${NUMBER.format(values.file_bytes)} bytes`] : null,
    values.sha256 ? ["SHA-256", values.sha256] : null,
    values.download ? ["Downloads as", values.download] : null,
  ].filter(Boolean);
}

/** Return dt and dd elements; a later row replaces an earlier one of the same name. */
function rows(pairs) {
  return [...new Map(pairs)].flatMap(([name, value]) => {
    const [term, definition] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    definition.textContent = value;
    return [term, definition];
  });
}

function metadata(values) {
  const text = (value) => (Array.isArray(value) ? value.map(text).join(", ") : typeof value === "number" ? String(+value.toPrecision(6)) : String(value));
  const section = (title, content) => {
    const [element, heading] = [document.createElement("section"), document.createElement("h3")];
    heading.textContent = title;
    element.append(heading, content);
    return element;
  };
  const list = (pairs) => {
    const element = document.createElement("dl");
    element.className = "facts";
    element.append(...rows(pairs));
    return element;
  };
  const found = [];
  const exif = Object.entries(values.exif ?? {});
  if (exif.length) found.push(section("EXIF", list(exif.map(([name, value]) => [name, text(value)]))));
  if (values.texts?.length) found.push(section("Text", list(values.texts)));
  if (values.iptc_bytes) found.push(section("IPTC", list([["Bytes", NUMBER.format(values.iptc_bytes)]])));
  if (values.xmp) {
    const block = document.createElement("pre");
    block.textContent = values.xmp;
    found.push(section("XMP", block));
  }
  return found;
}
