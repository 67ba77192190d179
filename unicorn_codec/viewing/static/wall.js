"use strict";
/* The wall: rows of equal height that fill the width. Only rows near the view are in the document. */

const GAP = 6;

/** Return rows { top, height, tiles: [{ picture, left, width }] } of pictures, and their total height. */
function justified(pictures, width, wantedHeight) {
  const rows = [];
  let top = 0;
  let row = [];
  let ratios = 0;
  const close = (isLast) => {
    const free = width - GAP * (row.length - 1);
    const height = Math.min(isLast ? rows.at(-1)?.height ?? wantedHeight : 1.4 * wantedHeight, free / ratios);
    let left = 0;
    const tiles = row.map(([picture, ratio], n) => {
      const isEnd = n === row.length - 1 && Math.abs(height * ratios - free) < 1;
      const tile = { picture, left, width: isEnd ? width - left : ratio * height };
      left += tile.width + GAP;
      return tile;
    });
    rows.push({ top, height, tiles });
    top += height + GAP;
    row = [];
    ratios = 0;
  };
  for (const picture of pictures) {
    const ratio = Math.min(4, Math.max(0.35, picture.width / picture.height));
    row.push([picture, ratio]);
    ratios += ratio;
    if ((width - GAP * (row.length - 1)) / ratios <= wantedHeight) close(false);
  }
  if (row.length) close(true);
  return { rows, height: Math.max(0, top - GAP) };
}

class Wall {
  /** @param {(index: number) => void} open called when a picture is chosen. */
  constructor(element, thumbnails, open) {
    this.element = element;
    this.thumbnails = thumbnails;
    this.open = open;
    this.pictures = [];
    this.rows = [];
    this.tiles = new Map();
    this.current = 0;
    thumbnails.listeners.add((index) => { if (this.tiles.has(index)) this.fill(this.tiles.get(index), index); });
    addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.arrange()).observe(element);
    element.addEventListener("click", (event) => this.clicked(event));
    element.addEventListener("keydown", (event) => this.pressed(event));
    element.addEventListener("focusin", (event) => this.focused(event));
  }

  show(pictures) {
    this.pictures = pictures;
    this.current = Math.min(this.current, Math.max(0, pictures.length - 1));
    this.places = new Map(pictures.map((picture, n) => [picture.index, n]));
    this.arrange(true);
  }

  setHeight(height) {
    this.wantedHeight = height;
    this.arrange(true);
  }

  arrange(force = false) {
    const width = this.element.clientWidth;
    if (!width || (!force && width === this.width)) return;
    const anchor = !force && this.rows.length ? this.visible()[0] : null;
    this.width = width;
    const { rows, height } = justified(this.pictures, width, this.wantedHeight);
    this.rows = rows;
    this.rowOf = new Map();
    rows.forEach((row, n) => { for (const tile of row.tiles) this.rowOf.set(tile.picture.index, n); });
    this.element.style.height = `${height}px`;
    for (const tile of this.tiles.values()) tile.remove();
    this.tiles.clear();
    if (anchor && scrollY > 0) {
      const row = rows[this.rowOf.get(anchor.tiles[0].picture.index)];
      if (row) scrollTo(0, row.top + this.element.offsetTop - 80);
    }
    this.draw();
  }

  visible(margin = 0) {
    const start = scrollY - this.element.offsetTop - margin;
    const end = start + innerHeight + 2 * margin;
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle].top + this.rows[middle].height < start) low = middle + 1; else high = middle;
    }
    const found = [];
    for (let n = low; n < this.rows.length && this.rows[n].top < end; n += 1) found.push(this.rows[n]);
    return found;
  }

  draw() {
    const near = this.visible(innerHeight / 2);
    const wanted = new Set();
    for (const row of near) for (const tile of row.tiles) wanted.add(tile.picture.index);
    for (const [index, tile] of this.tiles) {
      if (!wanted.has(index) && tile !== document.activeElement) { tile.remove(); this.tiles.delete(index); }
    }
    for (const row of near) for (const place of row.tiles) if (!this.tiles.has(place.picture.index)) this.add(row, place);
    const inside = this.visible().flatMap((row) => row.tiles.map((tile) => tile.picture.index));
    const inView = new Set(inside);
    this.thumbnails.want([...inside, ...[...wanted].filter((index) => !inView.has(index))]);
  }

  add(row, place) {
    const { picture } = place;
    const tile = document.createElement("a");
    tile.className = "tile waiting";
    tile.href = `#${picture.index}`;
    tile.dataset.index = picture.index;
    tile.setAttribute("role", "listitem");
    tile.setAttribute("aria-label", picture.name);
    tile.tabIndex = this.places.get(picture.index) === this.current ? 0 : -1;
    tile.style.transform = `translate(${place.left}px, ${row.top}px)`;
    tile.style.width = `${place.width}px`;
    tile.style.height = `${row.height}px`;
    const image = document.createElement("img");
    image.alt = "";
    image.decoding = "async";
    image.draggable = false;
    const caption = document.createElement("span");
    caption.className = "caption";
    caption.textContent = picture.name.slice(picture.name.lastIndexOf("/") + 1) || picture.name;
    tile.append(image, caption);
    tile.title = picture.name;
    this.tiles.set(picture.index, tile);
    this.fill(tile, picture.index);
    this.element.append(tile);
  }

  fill(tile, index) {
    const found = this.thumbnails.get(index);
    if (!found) return;
    if (found.isLost) { tile.classList.add("lost"); tile.classList.remove("waiting"); }
    if (!found.url) return;
    const image = tile.firstChild;
    image.onload = () => { image.classList.add("shown"); tile.classList.remove("waiting"); };
    image.src = found.url;
    tile.dataset.quality = found.isFinal ? "sharp" : "quick";
  }

  clicked(event) {
    const tile = event.target.closest(".tile");
    if (!tile || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    this.open(Number(tile.dataset.index));
  }

  focused(event) {
    const tile = event.target.closest(".tile");
    if (tile) this.mark(this.places.get(Number(tile.dataset.index)));
  }

  mark(place) {
    const before = this.tiles.get(this.pictures[this.current]?.index);
    if (before) before.tabIndex = -1;
    this.current = place;
    const tile = this.tiles.get(this.pictures[place]?.index);
    if (tile) tile.tabIndex = 0;
  }

  /** Move the focus to a picture, and scroll to it. */
  focus(place) {
    const picture = this.pictures[place];
    if (!picture) return;
    const row = this.rows[this.rowOf.get(picture.index)];
    const head = document.querySelector(".bar").offsetHeight + GAP;
    const top = row.top + this.element.offsetTop;
    if (top - head < scrollY) scrollTo(0, top - head);
    else if (top + row.height > scrollY + innerHeight) scrollTo(0, top + row.height - innerHeight + GAP);
    this.draw();
    this.mark(place);
    this.tiles.get(picture.index)?.focus({ preventScroll: true });
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.pictures.length - 1;
    const targets = {
      ArrowLeft: () => Math.max(0, this.current - 1),
      ArrowRight: () => Math.min(last, this.current + 1),
      ArrowUp: () => this.neighbour(-1),
      ArrowDown: () => this.neighbour(1),
      Home: () => 0,
      End: () => last,
    };
    if (!(event.key in targets)) return;
    event.preventDefault();
    this.focus(targets[event.key]());
  }

  /** Return the place of the picture above or below the current one. */
  neighbour(step) {
    const index = this.pictures[this.current].index;
    const number = this.rowOf.get(index);
    const row = this.rows[number + step];
    if (!row) return this.current;
    const own = this.rows[number].tiles.find((tile) => tile.picture.index === index);
    const middle = own.left + own.width / 2;
    const distance = (tile) => Math.abs(tile.left + tile.width / 2 - middle);
    const nearest = row.tiles.reduce((best, tile) => (distance(tile) < distance(best) ? tile : best));
    return this.places.get(nearest.picture.index);
  }
}
