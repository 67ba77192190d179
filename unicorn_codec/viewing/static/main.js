"use strict";
/* The page: controls, addresses (#42 is picture 42), keyboard. */

/** Show a picture by its index, or with null the wall alone. */
function go(index) {
  const before = location.hash;
  if (index === null) {
    history.replaceState(null, "", location.pathname + location.search);
  } else if (before) {
    history.replaceState(null, "", `#${index}`);
  } else {
    history.pushState(null, "", `#${index}`);
  }
  dispatchEvent(new Event("hashchange"));
}

async function start() {
  const own = byId("embedded");
  const source = own ? new Embedded(JSON.parse(own.textContent)) : new Server();
  const listing = await source.listing();
  const catalogue = new Catalogue(listing);
  const thumbnails = new Thumbnails(source);
  const viewer = new Viewer(source, catalogue, thumbnails);
  const wall = new Wall(byId("wall"), thumbnails, go);
  thumbnails.listeners.add((_, error) => { if (error) byId("totals").textContent = "The server has ended: start unicorn view again."; });

  const rowsInput = byId("rows");
  rowsInput.value = remembered("rows") ?? (innerWidth < 720 ? 112 : 176);
  wall.wantedHeight = Number(rowsInput.value);
  rowsInput.addEventListener("input", () => { remember("rows", rowsInput.value); wall.setHeight(Number(rowsInput.value)); });

  const select = () => {
    const found = catalogue.select(byId("search").value, byId("sort").value, byId("direction").getAttribute("aria-pressed") === "true");
    wall.show(found);
    const total = catalogue.pictures.length;
    const counted = found.length === total ? `${NUMBER.format(total)} ${total === 1 ? "picture" : "pictures"}` : `${NUMBER.format(found.length)} of ${NUMBER.format(total)} pictures`;
    byId("totals").textContent = `${counted} \u00b7 ${bytesText(catalogue.bytes)}${catalogue.lost ? ` \u00b7 ${NUMBER.format(catalogue.lost)} in damaged pages` : ""}`;
    byId("empty").hidden = found.length > 0;
    byId("empty").textContent = total ? "No picture has such a name or date." : "The archive holds no pictures.";
  };
  let typing;
  byId("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => { scrollTo(0, 0); select(); }, 80); });
  byId("sort").addEventListener("change", () => { scrollTo(0, 0); select(); });
  byId("direction").addEventListener("click", () => {
    const button = byId("direction");
    const descending = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(descending));
    button.ariaLabel = descending ? "Descending" : "Ascending";
    select();
  });
  byId("controls").addEventListener("submit", (event) => { event.preventDefault(); wall.focus(0); });
  byId("help").addEventListener("click", () => byId("keys").showModal());
  byId("theme").addEventListener("click", () => {
    const isDark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = isDark ? "light" : "dark";
    remember("theme", document.documentElement.dataset.theme);
  });

  const follow = () => {
    const match = /^#(\d+)$/.exec(location.hash);
    const picture = match && catalogue.byIndex.get(Number(match[1]));
    if (picture) { viewer.show(picture, wall.pictures); return; }
    const last = viewer.index;
    viewer.hide();
    if (last !== undefined && wall.places.has(last)) wall.focus(wall.places.get(last)); else wall.draw();
  };
  addEventListener("hashchange", follow);
  addEventListener("popstate", follow);
  addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { event.preventDefault(); byId("search").focus(); }
    if (event.key === "?") byId("keys").showModal();
    if (event.target === document.body && /^(Arrow|Home|End)/.test(event.key)) { event.preventDefault(); wall.focus(wall.current); }
  });
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); wall.focus(0); }
  });

  select();
  follow();
  const dates = await source.dates(listing);
  if (dates) { catalogue.setDates(dates); if (byId("sort").value === "date" || byId("search").value) select(); }
  else byId("sort").querySelector("[value=date]").remove();
}

function remember(name, value) {
  try { localStorage.setItem(`unicorn-${name}`, value); } catch { /* private windows have none */ }
}

function remembered(name) {
  try { return localStorage.getItem(`unicorn-${name}`); } catch { return null; }
}

if (remembered("theme")) document.documentElement.dataset.theme = remembered("theme");
start().catch((error) => { byId("totals").textContent = String(error.message ?? error); });
