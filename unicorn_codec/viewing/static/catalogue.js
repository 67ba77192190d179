"use strict";
/* The archive's pictures: where they come from, searching and sorting. Everything shown goes through textContent. */

class Catalogue {
  /** @param {object} data totals and columns, as `unicorn_codec.viewing.catalogue.listing` returns them. */
  constructor(data) {
    this.title = data.title;
    this.bytes = data.bytes;
    this.lost = data.lost;
    const columns = data.columns;
    this.pictures = columns.index.map((index, n) => ({
      index,
      name: columns.name[n],
      key: fold(columns.name[n]),
      width: columns.width[n],
      height: columns.height[n],
      pixels: columns.width[n] * columns.height[n],
      codec: columns.codec[n],
      bytes: columns.bytes[n],
      psnr: columns.psnr[n],
      parent: columns.parent[n],
      date: null,
    }));
    this.byIndex = new Map(this.pictures.map((picture) => [picture.index, picture]));
    this.sequences = groups(this.pictures, this.byIndex);
  }

  setDates(dates) {
    this.pictures.forEach((picture, n) => { picture.date = dates[n]; });
  }

  /** Return the pictures whose name or date holds every word of a query, in an order. */
  select(query, order, descending) {
    const words = fold(query).split(/\s+/).filter(Boolean);
    const found = this.pictures.filter((picture) =>
      words.every((word) => picture.key.includes(word) || (picture.date !== null && picture.date.toLowerCase().includes(word))));
    const sign = descending ? -1 : 1;
    const value = ORDERS[order];
    return found.sort((a, b) => sign * compare(value(a), value(b)) || NAMES.compare(a.name, b.name) || a.index - b.index);
  }
}

const NAMES = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const ORDERS = {
  name: (picture) => picture.name,
  date: (picture) => picture.date,
  psnr: (picture) => (picture.psnr === "exact" ? Infinity : picture.psnr),
  pixels: (picture) => picture.pixels,
  bytes: (picture) => picture.bytes,
  index: (picture) => picture.index,
};

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  return typeof a === "string" ? NAMES.compare(a, b) : a < b ? -1 : a > b ? 1 : 0;
}

function fold(text) {
  return text.normalize("NFC").toLowerCase();
}

/** Return the pictures of each sequence by the index of every member. */
function groups(pictures, byIndex) {
  const first = (picture) => {
    let one = picture;
    for (let n = 0; n < 64 && one.parent !== null && byIndex.has(one.parent); n += 1) one = byIndex.get(one.parent);
    return one.index;
  };
  const members = new Map();
  for (const picture of pictures) {
    if (picture.codec !== "avif-sequence") continue;
    const root = first(picture);
    if (!members.has(root)) members.set(root, []);
    members.get(root).push(picture);
  }
  const found = new Map();
  for (const group of members.values()) if (group.length > 1) for (const one of group) found.set(one.index, group);
  return found;
}

/* Where pictures come from: a server, or the page itself. */

class Server {
  async listing() { return this.json("pictures"); }
  async dates(listing) { return listing.has_dates ? this.json("dates") : null; }
  async facts(index) { return this.json(`facts/${index}`); }
  picture(index) { return `picture/${index}`; }
  download(index) { return `download/${index}`; }

  async json(path) {
    const response = await fetch(path);
    if (!response.ok) throw new Error(await response.text());
    return response.json();
  }

  /** Call `found(index, blob, isFinal)` for each thumbnail as it comes; the blob is null if there is none. */
  async thumbnails(indices, found, signal) {
    const response = await fetch(`thumbnails?of=${indices.join(",")}`, { signal });
    if (!response.ok) throw new Error(await response.text());
    const reader = response.body.getReader();
    let left = new Uint8Array(0);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const data = new Uint8Array(left.length + value.length);
      data.set(left);
      data.set(value, left.length);
      let at = 0;
      while (data.length - at >= 9) {
        const head = new DataView(data.buffer, at, 9);
        const length = head.getUint32(5, true);
        if (data.length - at < 9 + length) break;
        const blob = length ? new Blob([data.slice(at + 9, at + 9 + length)], { type: "image/webp" }) : null;
        found(head.getUint32(0, true), blob, head.getUint8(4) === 1);
        at += 9 + length;
      }
      left = data.slice(at);
    }
  }
}

class Embedded {
  constructor(data) { this.data = data; }
  async listing() { return this.data.listing; }
  async dates() { return this.data.dates; }
  async facts(index) { return this.data.facts[index]; }
  picture(index) { return this.data.pictures[index]; }
  download(index) { return this.data.pictures[index]; }
}
