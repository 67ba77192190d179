"use strict";
/* Zooming and moving one picture: wheel, pinch, drag, double click, buttons. */

class Zoom {
  constructor(stage, image, level) {
    Object.assign(this, { stage, image, level, width: 1, height: 1, scale: 1, x: 0, y: 0, pointers: new Map() });
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.by(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), event);
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => {
      if (event.target === stage || event.target === image) this.toggle(event);
    });
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.moved(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => this.up(event));
    new ResizeObserver(() => this.fit()).observe(stage);
  }

  /** Show a picture of a size, all of it. */
  reset(width, height) {
    Object.assign(this, { width, height });
    this.image.width = width;
    this.image.height = height;
    this.fit();
  }

  get fitting() {
    const { clientWidth, clientHeight } = this.stage;
    return Math.min(clientWidth / this.width, clientHeight / this.height, Math.max(1, 720 / Math.max(this.width, this.height)));
  }

  fit() {
    this.scale = this.fitting;
    this.x = (this.stage.clientWidth - this.width * this.scale) / 2;
    this.y = (this.stage.clientHeight - this.height * this.scale) / 2;
    this.apply();
  }

  to(scale, at) {
    const box = this.stage.getBoundingClientRect();
    const [px, py] = at ? [at.clientX - box.left, at.clientY - box.top] : [box.width / 2, box.height / 2];
    const wanted = Math.min(32, Math.max(Math.min(1, this.fitting), scale));
    this.x = px - ((px - this.x) * wanted) / this.scale;
    this.y = py - ((py - this.y) * wanted) / this.scale;
    this.scale = wanted;
    this.apply();
  }

  by(factor, at) { this.to(this.scale * factor, at); }

  toggle(at) {
    if (Math.abs(this.scale - this.fitting) > 0.01) this.fit();
    else this.to(this.fitting === 1 ? 2 : Math.max(1, 2 * this.fitting), at);
  }

  apply() {
    const inside = (at, size, room) => (size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, at)));
    this.x = inside(this.x, this.width * this.scale, this.stage.clientWidth);
    this.y = inside(this.y, this.height * this.scale, this.stage.clientHeight);
    this.image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.image.classList.toggle("crisp", this.scale >= 4);
    this.stage.classList.toggle("zoomed", this.scale > this.fitting * 1.01);
    this.level.textContent = `${Math.round(100 * this.scale)} %`;
  }

  down(event) {
    if (event.target !== this.stage && event.target !== this.image) return;
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    this.stage.classList.add("dragged");
  }

  moved(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const others = [...this.pointers.values()].filter((one) => one.pointerId !== event.pointerId);
    if (others.length) {
      const distance = (one) => Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY);
      this.by(distance(event) / Math.max(1, distance(before)), {
        clientX: (event.clientX + others[0].clientX) / 2, clientY: (event.clientY + others[0].clientY) / 2,
      });
    } else {
      this.x += event.clientX - before.clientX;
      this.y += event.clientY - before.clientY;
      this.apply();
    }
    this.pointers.set(event.pointerId, event);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.stage.classList.remove("dragged");
  }
}
