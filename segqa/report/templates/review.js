"use strict";
(() => {
  // Everything that comes from outside (ids, tags, prompts, errors) reaches the page as text, never as markup.
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const h = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name in element && typeof value !== "string") element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const data = JSON.parse($("#data").textContent);
  const PAGE = 120, KEPT = 24, MANY = 40, NOISE = data.noise;
  const many = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  const four = (value) => (value === null || value === undefined ? "–" : value.toFixed(4));
  const top = () => $$("dialog[open]").at(-1);
  const say = (text) => {
    const said = $("#said");
    (top() ?? document.body).append(said);
    said.textContent = "";
    setTimeout(() => (said.textContent = text), 30);
    setTimeout(() => { if (said.textContent === text) said.textContent = ""; }, 4000);
  };

  // ---- what is asked for stands in the address -------------------------------------------------------------------
  let fragment = location.hash.slice(1);
  const asked = () => Object.fromEntries(new URLSearchParams(fragment));
  const address = (changes) => {
    const parameters = new URLSearchParams(fragment);
    for (const [name, value] of Object.entries(changes)) {
      if (value === "" || value === null || value === undefined) parameters.delete(name);
      else parameters.set(name, value);
    }
    return "#" + parameters;
  };
  const visit = (target, push) => {
    fragment = target.slice(1);
    // a sandbox has no history: the page works all the same
    try { history[push ? "pushState" : "replaceState"](null, "", target); } catch { /* as said */ }
    apply();
  };
  // an address of this run, without any of the filters
  const afresh = (wants) => "#" + new URLSearchParams({ ...(asked().run ? { run: asked().run } : {}), ...wants });
  const go = (changes) => visit(address(changes), false);

  // ---- runs and their cases --------------------------------------------------------------------------------------
  const runs = data.runs.map((run) => {
    const slices = new Map();
    for (const { slices: names, of } of Object.values(run.attributes)) names.forEach((name, at) => slices.set(name, { of, at }));
    const text = () => run.id.map((id, i) => [
      id, data.kinds[run.kind[i]], run.prompts.values[run.prompts.of[i]], run.notes[i] ?? "",
      ...Object.entries(run.attributes).map(([name, { values, of }]) => (of[i] < 0 ? "" : `${name}=${values[of[i]]}`)),
    ].join(" ").toLowerCase());
    return { ...run, slices, text, place: new Map(run.key.map((key, i) => [key, i])), size: run.id.length };
  });
  let run = runs[0], list = [], current = -1, opener = null, first = -1;
  const ERROR = data.kinds.indexOf("error");

  const stored = new Map();
  const decisions = (of = run) => {
    if (!stored.has(of)) {
      const kept = Object.create(null);  // a case may be called constructor
      try { Object.assign(kept, JSON.parse(localStorage.getItem("segqa:" + of.run))); } catch { /* a sandbox has no storage */ }
      stored.set(of, kept);
    }
    return stored.get(of);
  };
  const decide = (i, change) => {
    const all = decisions(), id = run.id[i];
    all[id] = { ...all[id], ...change };
    if (!all[id].decision && !all[id].note) delete all[id];
    try { localStorage.setItem("segqa:" + run.run, JSON.stringify(all)); } catch { /* kept until the page closes */ }
    countDecisions();
    $(`[data-case="${i}"]`)?.parentElement.replaceWith(card(i));
  };
  const countDecisions = () => {
    const count = Object.keys(decisions()).length;
    $("#export-open").textContent = count ? `Export ${many(count, "decision")}` : "Export decisions";
  };

  const TESTS = {
    q: (text) => {
      const words = text.toLowerCase().split(/\s+/).filter(Boolean);
      run.words ??= run.text();
      return (i) => words.every((word) => run.words[i].includes(word));
    },
    kind: (name) => { const kind = data.kinds.indexOf(name); return (i) => run.kind[i] === kind; },
    cluster: (number) => { const cases = new Set(run.clusters[number - 1]?.cases ?? []); return (i) => cases.has(i); },
    slice: (name) => { const slice = run.slices.get(name); return (i) => slice !== undefined && slice.of[i] === slice.at; },
    prompt: (name) => { const at = run.prompts.values.indexOf(name); return (i) => run.prompts.of[i] === at; },
    outcome: (name) => ({
      failing: (i) => run.kind[i] > 0,
      passing: (i) => run.kind[i] === 0,
      error: (i) => run.kind[i] === ERROR,
      recoverable: (i) => run.recoverable[i] === 1,
    })[name] ?? (() => true),
    change: (name) => ({
      new: (i) => run.change[i] === 1,
      fixed: (i) => run.change[i] === 2,
      worse: (i) => run.before[i] !== null && run.iou[i] - run.before[i] < -NOISE,
      better: (i) => run.before[i] !== null && run.iou[i] - run.before[i] > NOISE,
    })[name] ?? (() => true),
    review: (name) => {
      const all = decisions();
      if (name === "open") return (i) => !(run.id[i] in all);
      if (name === "done") return (i) => run.id[i] in all;
      return (i) => all[run.id[i]]?.decision === name;
    },
    iou: (range) => {
      const [low, high] = range.split("-").map(Number);
      if (high === undefined) return (i) => run.iou[i] === low;
      return (i) => run.iou[i] !== null && run.iou[i] > 0 && run.iou[i] >= low && (run.iou[i] < high || high === 1);
    },
  };
  const delta = (i) => (run.before[i] === null || run.iou[i] === null ? null : run.iou[i] - run.before[i]);
  const ORDERS = {
    worst: (i) => (run.kind[i] === ERROR ? -1 : run.iou[i] ?? 2),
    best: (i) => -(run.iou[i] ?? -2),
    drop: (i) => delta(i) ?? 2,
    gain: (i) => -(delta(i) ?? -2),
    fp: (i) => -run.fp[i],
    fn: (i) => -run.fn[i],
    target: (i) => -(run.tp[i] + run.fn[i]),
    regret: (i) => (run.iou[i] ?? 0) - (run.oracle[i] ?? 0),
    id: (i) => i,
  };

  const choose = (wants) => {
    const tests = Object.entries(TESTS).filter(([name]) => wants[name]).map(([name, make]) => make(wants[name]));
    const order = ORDERS[wants.sort] ?? ORDERS.worst;
    const found = [];
    for (let i = 0; i < run.size; i++) if (tests.every((test) => test(i))) found.push(i);
    const keys = new Map(found.map((i) => [i, order(i)]));
    return found.sort((a, b) => keys.get(a) - keys.get(b) || a - b);
  };

  // ---- pictures --------------------------------------------------------------------------------------------------
  const source = (kind, number) => {
    const block = document.getElementById(`${kind}-${number}`);
    return block ? `data:${block.dataset.type};base64,${block.textContent.trim()}` : data.files ? `${data.files}/${kind}/${number}.${data.suffix}` : null;
  };
  const score = (i) => (run.kind[i] === ERROR ? "error" : run.iou[i] === null ? "undefined" : four(run.iou[i]));
  const thumbnail = (i) => {
    const number = run.exhibit[i];
    if (number === undefined) return h("span", { class: "blank" }, run.kind[i] === ERROR ? "error" : "no picture");
    return h("img", { alt: "", loading: "lazy", src: source("th", number) });
  };
  const change = (i) => {
    const d = delta(i);
    if (d === null) return null;
    const sign = d < -NOISE ? "worse" : d > NOISE ? "better" : "same";
    return h("span", { class: "delta " + sign }, { worse: "▼ ", better: "▲ ", same: "= " }[sign] + Math.abs(d).toFixed(4));
  };
  const kindOf = (i) => h("span", { class: run.kind[i] ? "kind" : "kind passed" }, run.kind[i] ? data.kinds[run.kind[i]] : "passed");

  // ---- the list --------------------------------------------------------------------------------------------------
  const card = (i) => h("li", {}, h("a", { class: "card", href: address({ case: run.key[i] }), "data-case": String(i) },
    h("span", { class: "thumb" }, thumbnail(i)),
    h("span", { class: "numbers" }, h("b", {}, score(i)), change(i)),
    h("span", { class: "marks" }, kindOf(i),
      run.change[i] === 1 ? h("span", { class: "kind new" }, "new") : null,
      run.recoverable[i] ? h("span", { class: "kind recoverable" }, "recoverable") : null,
      decisions()[run.id[i]] ? h("span", { class: "kind passed" }, decisions()[run.id[i]].decision || "note") : null),
    h("bdi", { class: "id" }, run.id[i].length > 200 ? run.id[i].slice(0, 200) + "…" : run.id[i])));
  const showMore = () => {
    const cards = $("#cards"), from = cards.children.length;
    cards.append(...list.slice(from, from + PAGE).map(card));
    const left = list.length - cards.children.length;
    $("#more").hidden = left <= 0;
    $("#more").textContent = `Show ${Math.min(left, PAGE)} more of ${left}`;
  };
  const options = (select, entries, value) => {
    select.replaceChildren(...entries.map(([key, label]) => h("option", { value: key }, label)));
    select.value = entries.some(([key]) => key === value) ? value : entries[0][0];
    select.closest("label").hidden = entries.length < 2;
  };
  const fillFilters = (wants) => {
    const kinds = data.kinds.map((kind, at) => [kind, at]).filter(([, at]) => at && run.kind.includes(at));
    options($("#kind"), [["", "any kind"], ...kinds.map(([kind]) => [kind, kind])], wants.kind ?? "");
    options($("#cluster"), [["", "any cluster"], ...run.clusters.map((c, at) => [String(at + 1), `${c.condition}: ${c.kind}`])], wants.cluster ?? "");
    const names = Object.values(run.attributes).filter(({ values }) => values.length <= MANY).flatMap(({ slices }) => slices);
    if (wants.slice && !names.includes(wants.slice)) names.push(wants.slice);
    options($("#slice"), [["", "any slice"], ...names.map((name) => [name, name])], wants.slice ?? "");
    const prompts = run.prompts.values.length > 1 && run.prompts.values.length <= MANY ? run.prompts.values.map((prompt) => [prompt, prompt]) : [];
    options($("#prompt"), [["", "any prompt"], ...prompts], wants.prompt ?? "");
    const compared = run.before.some((iou) => iou !== null);
    options($("#change"), compared ? [["", "any change"], ["new", "newly failing"], ["fixed", "newly passing"], ["worse", "worse"], ["better", "better"]] : [["", ""]], wants.change ?? "");
    for (const name of ["outcome", "review", "sort"]) $("#" + name).value = wants[name] || $("#" + name).options[0].value;
    for (const option of $$("#sort option[data-compared]")) option.hidden = option.disabled = !compared;
    for (const option of $$("option[value=recoverable], option[value=regret]")) option.hidden = option.disabled = !run.choice;
    if (document.activeElement !== $("#q")) $("#q").value = wants.q ?? "";
    $("#range").hidden = !wants.iou;
    $("#range").textContent = wants.iou ? `IoU ${wants.iou.includes("-") ? wants.iou.replace("-", " to ") : `exactly ${wants.iou}`} ×` : "";
  };
  let shown = "";
  const showList = (wants) => {
    const what = JSON.stringify({ ...wants, case: "" });
    if (what === shown && !wants.review) return;
    shown = what;
    fillFilters(wants);
    list = choose(wants);
    $("#cards").replaceChildren();
    showMore();
    $("#count").textContent = `${list.length} of ${run.size} ${run.size < run.cases ? "listed cases" : "cases"}`;
    $("#clear").hidden = !Object.keys(TESTS).some((name) => wants[name]);
    $("#nothing").hidden = list.length > 0;
  };

  // ---- one case --------------------------------------------------------------------------------------------------
  const view = { mode: "four", opacity: 0.55, outline: false, error: true, target: true, prediction: true, mask: "picked", hidden: false, zoom: 1, x: 0, y: 0, split: 0.5 };
  const cache = new Map();
  const decode = (text, [height, width]) => {
    const mask = new Uint8Array(height * width), lengths = [];
    let value = 0, bits = 0, at = 0;
    for (let c = 0; c < text.length; c++) {
      const group = text.charCodeAt(c) - 48;
      value |= (group & 31) << bits;
      bits += 5;
      if (group & 32) continue;
      if (group & 16) value |= -1 << bits;
      lengths.push(lengths.length > 2 ? value + lengths[lengths.length - 2] : value);
      value = bits = 0;
    }
    lengths.forEach((length, turn) => {
      if (turn % 2) for (let k = at; k < at + length; k++) mask[(k % height) * width + Math.floor(k / height)] = 1;
      at += length;
    });
    return mask;
  };
  const exhibit = (i) => {
    const number = run.exhibit[i];
    if (number === undefined) return null;
    if (!cache.has(number)) {
      const layers = JSON.parse(document.getElementById("ex-" + number).textContent);
      const photo = new Image(), from = data.photos ? source("im", layers.photo) : null;
      const item = { ...layers, masks: layers.masks.map(() => null), rle: layers.masks, number, photo: null };
      item.target = decode(layers.target, layers.shape);
      item.mask = (k) => (item.masks[k] ??= decode(item.rle[k], item.shape));
      item.before = layers.before === null ? null : decode(layers.before, layers.shape);
      if (from) {
        item.waiting = true;
        photo.onload = photo.onerror = (event) => {
          Object.assign(item, { waiting: false, photo: event.type === "load" ? photo : null });
          if (current >= 0 && run.exhibit[current] === number) paint();
        };
        photo.src = from;
      }
      cache.set(number, item);
      if (cache.size > KEPT) cache.delete(cache.keys().next().value);
    }
    return cache.get(number);
  };
  // which mask is looked at: a proposal's number, null for none, or "before" for the baseline's
  const looked = () => (view.mask === "picked" ? run.picked[current] : view.mask);
  const prediction = (item) => {
    const chosen = looked();
    if (chosen === "before") return item.before;
    return chosen === null ? new Uint8Array(item.target.length) : item.mask(chosen);
  };

  const COLOURS = { tp: [255, 255, 255], fp: [213, 94, 0], fn: [0, 114, 178], target: [0, 158, 115], prediction: [240, 228, 66] };
  // a pixel is one number, its bytes red, green, blue and alpha from the lowest on
  const tint = ([r, g, b], alpha) => ((Math.round(255 * alpha) << 24) | (b << 16) | (g << 8) | r) >>> 0;
  const fill = (pixels, mask, colour, alpha) => {
    const tinted = tint(colour, alpha);
    for (let k = 0; k < mask.length; k++) if (mask[k]) pixels[k] = tinted;
  };
  const fillErrors = (pixels, mask, target, width) => {
    const alpha = view.opacity, stripe = Math.min(1, view.opacity * 1.27);
    const right = tint(COLOURS.tp, alpha * 0.45), wrong = tint(COLOURS.fp, alpha), lost = tint(COLOURS.fn, alpha);
    const dark = tint([30, 10, 0], stripe), light = tint([235, 245, 255], stripe);
    for (let k = 0; k < target.length; k++) {
      if (!mask[k] && !target[k]) continue;
      const row = Math.floor(k / width), column = k % width;
      if (mask[k] && target[k]) pixels[k] = right;
      else if (mask[k]) pixels[k] = (row + column) % 7 < 2 ? dark : wrong;
      else pixels[k] = (((row - column) % 7) + 7) % 7 < 2 ? light : lost;
    }
  };
  const contour = (pixels, mask, [height, width], colour) => {
    const edge = [], black = tint([0, 0, 0], 1), line = tint(colour, 1);
    for (let k = 0; k < mask.length; k++) {
      const column = k % width;
      if (mask[k] && !(column && mask[k - 1] && column < width - 1 && mask[k + 1] && k >= width && mask[k - width] && mask[k + width])) edge.push(k);
    }
    for (const k of edge) {
      const row = Math.floor(k / width), column = k % width;
      for (let r = Math.max(0, row - 1); r <= Math.min(height - 1, row + 1); r++) {
        for (let c = Math.max(0, column - 1); c <= Math.min(width - 1, column + 1); c++) pixels[r * width + c] = black;
      }
    }
    for (const k of edge) pixels[k] = line;
  };
  const overlay = (item, what) => {
    const [height, width] = item.shape, mask = prediction(item), picture = new ImageData(width, height), pixels = new Uint32Array(picture.data.buffer);
    const layers = { error: what === "error" || what === "one", target: what === "target" || what === "one", prediction: what === "prediction" || what === "one" };
    for (const name of Object.keys(layers)) layers[name] &&= view[name];
    if (what === "one" && layers.error) layers.target = layers.prediction = false;
    if (!mask) layers.error = layers.prediction = false;
    if (!view.outline) {
      if (layers.error) fillErrors(pixels, mask, item.target, width);
      if (layers.target) fill(pixels, item.target, COLOURS.target, view.opacity);
      if (layers.prediction) fill(pixels, mask, COLOURS.prediction, view.opacity);
    }
    if (layers.error && view.outline) contour(pixels, mask, item.shape, COLOURS.fp);
    if (layers.prediction) contour(pixels, mask, item.shape, COLOURS.prediction);
    if (layers.error || layers.target) contour(pixels, item.target, item.shape, COLOURS.tp);
    const canvas = h("canvas", { width, height });
    canvas.getContext("2d").putImageData(picture, 0, 0);
    return canvas;
  };
  const drawBox = (context, item) => {
    const box = item.boxes[looked()];
    // of a model of one mask the box is that of the mask, and says nothing
    if (!run.choice || !box || box[2] <= box[0]) return;
    for (const [colour, dash] of [["#000", []], ["#fff", [6, 6]]]) {
      context.strokeStyle = colour;
      context.setLineDash(dash);
      context.strokeRect(box[0] + 0.5, box[1] + 0.5, box[2] - box[0] - 1, box[3] - box[1] - 1);
    }
  };
  const draw = (canvas, item) => {
    const [height, width] = item.shape, what = canvas.dataset.pane;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#808080";
    context.fillRect(0, 0, width, height);
    if (item.photo) context.drawImage(item.photo, 0, 0, width, height);
    if (view.hidden || what === "image") return;
    if (what !== "slider") {
      context.drawImage(overlay(item, what), 0, 0);
      if (view.prediction && (what === "prediction" || what === "one")) drawBox(context, item);
      return;
    }
    const middle = Math.round(view.split * width);
    for (const [side, from, to] of [["target", 0, middle], ["prediction", middle, width]]) {
      if (to > from) context.drawImage(overlay(item, side), from, 0, to - from, height, from, 0, to - from, height);
    }
    context.fillStyle = "#fff";
    context.fillRect(middle - 1, 0, 2, height);
  };
  const paint = () => {
    const item = exhibit(current), dialog = $("#case");
    dialog.dataset.mode = view.mode;
    view.before = view.mask === "before";
    showNumbers(current, item);
    $("#panes").hidden = $("#tools").hidden = !item;
    $("#unseen").hidden = Boolean(item);
    $("#unseen").textContent = run.kind[current] === ERROR
      ? "The case ended in an error, so there is no prediction to show."
      : "This page has no picture of the case. The command below evaluates this case alone and writes a page with its picture.";
    $("#legend-box").hidden = !run.choice;
    $(".legend").hidden = !item;
    if (!item) return;
    const panes = { four: ["image", "error", "target", "prediction"], slider: ["slider"], one: ["one"] }[view.mode];
    for (const pane of $$("#panes figure")) {
      pane.hidden = !panes.includes(pane.dataset.pane);
      const canvas = $("canvas", pane);
      if (item.waiting) canvas.width = item.shape[1]; // empty: not the case before
      else if (!pane.hidden) draw(canvas, item);
    }
    arrange(item.shape, panes.length);
    $("#split-label").hidden = view.mode !== "slider";
    place();
    for (const button of $$("#tools [data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === view.mode));
    for (const button of $$("#tools [data-layer]")) button.setAttribute("aria-pressed", String(view[button.dataset.layer]));
    for (const row of $$("#proposals tr[data-mask]")) row.setAttribute("aria-current", String(row.dataset.mask === String(looked())));
    $("#opacity").value = view.opacity;
    $("#pane-prediction").textContent = nameOf(looked());
    $("#pane-iou").textContent = `IoU ${four(ofMask(looked()))}`;
  };
  // the IoU of a mask of the case: of a proposal, of none (null), or of the baseline's
  const ofMask = (k) => (k === "before" ? run.before[current] : k === run.picked[current] ? run.iou[current] : run.offers[current][k]?.[2]);
  const nameOf = (k) => (k === "before" ? "the baseline's prediction" : k === run.picked[current] ? "the prediction" : `proposal ${k}`);
  // IoU and numbers are those of the mask that is shown
  const showNumbers = (i, item) => {
    const shown = looked(), picked = shown === run.picked[i], error = run.errors.of[i] >= 0;
    $("#case-iou").replaceChildren(...(picked
      ? [h("b", {}, error ? "no IoU" : `IoU ${score(i)}`), change(i) ? " " : "", change(i) ?? "", run.before[i] === null ? "" : `${error ? ", in the baseline" : " from"} ${four(run.before[i])}`]
      : [h("b", {}, `IoU ${four(ofMask(shown))}`), ` of ${nameOf(shown)}; ${score(i)} of the prediction`]));
    $("#numbers-of").textContent = nameOf(shown);
    $("#metrics").replaceChildren(...(error ? [] : measures(i, item, shown).map(([name, value]) => row(name, value))));
    $("#metrics").closest("details").hidden = error;
    $("#case-wrong").closest("p").hidden = !run.wrong[i] || !picked;
  };
  const arrange = ([height, width], count) => {
    const panes = $("#panes"), narrow = matchMedia("(max-width: 800px)").matches, { clientWidth, clientHeight } = panes;
    const scale = (columns) => Math.min(clientWidth / columns / width, (clientHeight / Math.ceil(count / columns) - 22) / height);
    const fits = [1, 2, 4].filter((columns) => columns <= count).sort((a, b) => scale(b) - scale(a))[0];
    panes.style.setProperty("--panes", narrow ? Math.min(2, count) : fits);
    panes.style.setProperty("--aspect", width / height);
  };
  const place = () => {
    for (const canvas of $$("#panes canvas")) {
      canvas.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
      canvas.style.imageRendering = view.zoom > 2 ? "pixelated" : "auto";
    }
  };
  const zoom = (factor, x = 0, y = 0) => {
    const next = Math.min(16, Math.max(1, view.zoom * factor)), by = next / view.zoom;
    Object.assign(view, next === 1 ? { zoom: 1, x: 0, y: 0 } : { zoom: next, x: x - (x - view.x) * by, y: y - (y - view.y) * by });
    place();
  };

  const row = (name, value) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value));
  const share = (part, whole) => (whole ? (part / whole).toFixed(4) : "–");
  const measures = (i, item, shown) => {
    const picked = shown === run.picked[i], counts = picked ? [run.tp[i], run.fp[i], run.fn[i]] : run.counts[i]?.[shown];
    if (!counts) return [["IoU", four(ofMask(shown))]];
    const [tp, fp, fn] = counts;
    const rows = [["Dice", share(2 * tp, 2 * tp + fp + fn)], ["precision", share(tp, tp + fp)], ["recall", share(tp, tp + fn)],
      ["target", `${tp + fn} px`], ["predicted", `${tp + fp} px`], ["false positive", `${fp} px`], ["false negative", `${fn} px`]];
    const seen = (picked && item?.measured) || {};
    if ("boundary_f" in seen) rows.push(["boundary F", four(seen.boundary_f)]);
    if ("boundary_iou" in seen) rows.push(["boundary IoU", four(seen.boundary_iou)]);
    if ("hd95" in seen) rows.push(["HD95", `${seen.hd95.toFixed(1)} px`]);
    if ("pieces" in seen) rows.push(["pieces", `${seen.pieces} (target ${seen.target_pieces})`]);
    return rows;
  };
  const proposals = (i, item) => run.offers[i].map(([maskScore, boxScore, iou], k) => h("tr", { "data-mask": String(k) },
    h("td", {}, item ? h("button", { type: "button", class: "plain", onclick: () => { view.mask = k; paint(); } }, `${k}`) : `${k}`),
    h("td", {}, four(maskScore)), h("td", {}, four(boxScore)), h("td", {}, four(iou)),
    h("td", {}, [k === run.picked[i] ? "picked" : "", k === run.best[i] ? "★ best" : ""].filter(Boolean).join(", "))));
  const others = (i) => [...runs.slice(runs.indexOf(run) + 1), ...runs.slice(0, runs.indexOf(run))].filter((other) => other.place.has(run.key[i])).map((other) => {
    const at = other.place.get(run.key[i]), number = runs.indexOf(other);
    return h("li", {}, h("a", { href: address({ run: number || "", cluster: "", case: run.key[i] }) }, other.name), ` IoU ${four(other.iou[at])}`);
  });
  const command = (i) => run.command.special[i] ?? run.command.before + run.id[i] + run.command.after;
  const condition = (i) => run.command.conditions[i] ?? "id=" + run.id[i];
  const WRONG = ["too much at the boundary", "reaching too far", "segments elsewhere", "too little at the boundary", "not reaching far enough", "segments not found"];

  const sizeOf = ({ shape, whole }) => (shape[0] === whole[0] && shape[1] === whole[1]
    ? `${whole[1]} × ${whole[0]} pixels.`
    : `Shown at ${shape[1]} × ${shape[0]} of ${whole[1]} × ${whole[0]} pixels; all numbers are of the full size.`);

  const showCase = (i) => {
    const dialog = $("#case"), item = exhibit(i), at = list.indexOf(i), error = run.errors.values[run.errors.of[i]];
    if (current !== i && view.mask !== "picked") view.mask = "picked";
    current = i;
    $("#position").textContent = at < 0 ? "outside of the filter" : `${at + 1} of ${list.length}`;
    $("#case-id").textContent = run.id[i];
    $("#case-prompt").textContent = run.prompts.values[run.prompts.of[i]] || "–";
    $("#case-kinds").replaceChildren(kindOf(i), run.recoverable[i] ? h("span", { class: "kind recoverable" }, `recoverable: proposal ${run.best[i]} has ${four(run.oracle[i])}`) : "");
    $("#case-meaning").textContent = data.meanings[run.kind[i]];
    $("#case-clusters").replaceChildren(...run.clusters.flatMap((cluster, number) => (cluster.cases.includes(i)
      ? [h("li", {}, h("a", { href: afresh({ cluster: String(number + 1) }) }, `${cluster.condition}: ${cluster.kind}`))] : [])));
    $("#case-error").textContent = error ?? "";
    $("#case-error").hidden = !error;
    $("#case-reason").textContent = run.errors.reasons[run.errors.of[i]] ?? "";
    $("#case-reason").hidden = !error;
    $("#case-note").textContent = run.notes[i] ?? "";
    $("#case-wrong").textContent = (run.wrong[i] ?? []).map((part, k) => [part, WRONG[k]]).filter(([part]) => part >= 0.005).map(([part, name]) => `${name} ${Math.round(100 * part)}\u00a0%`).join(", ");
    $("#proposals tbody").replaceChildren(...proposals(i, item));
    $("#proposals").hidden = !run.choice || !run.offers[i].length;
    $("#tags").replaceChildren(...Object.entries(run.attributes).filter(([, { of }]) => of[i] >= 0).map(([name, { values, of }]) => row(name, values[of[i]])));
    $("#others").replaceChildren(...others(i));
    $("#others").closest("section").hidden = !$("#others").children.length;
    $("#command").textContent = command(i);
    $("#scale").textContent = item ? sizeOf(item) : "";
    $("[data-layer=before]").hidden = !item?.before;
    const decided = decisions()[run.id[i]] ?? {};
    for (const button of $$("#triage [data-decision]")) button.setAttribute("aria-pressed", String(button.dataset.decision === decided.decision));
    if (document.activeElement !== $("#note")) $("#note").value = decided.note ?? "";
    $("#previous").disabled = at <= 0;
    $("#next").disabled = at < 0 || at >= list.length - 1;
    if (!dialog.open) {
      [opener, first] = [document.activeElement, i];
      dialog.showModal();
      $("#stage").focus({ preventScroll: true });
      dialog.scrollTop = 0;
    }
    // the end of a traceback says what went wrong
    $("#case-error").scrollTop = $("#case-error").scrollHeight;
    paint();
  };
  const step = (by) => {
    const at = list.indexOf(current) + by;
    if (at < 0 || at >= list.length) return;
    while (at >= $("#cards").children.length) showMore();
    go({ case: run.key[list[at]] });
  };
  const closeCase = () => {
    if (!asked().case && !$("#case").open) return;
    const last = current;
    current = -1;
    if ($("#case").open) $("#case").close();
    if (asked().case) go({ case: "" });
    const back = opener?.isConnected && opener !== document.body && last === first ? opener : $(`[data-case="${last}"]`);
    back?.focus({ preventScroll: back === opener });
  };
  const nextNew = () => {
    const from = list.indexOf(current), found = list.find((i, at) => at > from && run.change[i] === 1);
    if (found === undefined) say("no newly failing case follows in this list");
    else go({ case: run.key[found] });
  };

  // ---- deciding --------------------------------------------------------------------------------------------------
  const copy = async (text, what) => {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = h("textarea", { readOnly: true });
      area.value = text;
      (top() ?? document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    say(`${what} copied`);
  };
  const link = () => location.href.split("#")[0] + afresh({ case: run.key[current] });
  const exported = () => run.id.flatMap((id, i) => {
    const decided = decisions()[id];
    return decided ? [{ case: id, decision: decided.decision ?? "", note: decided.note ?? "", kind: data.kinds[run.kind[i]], iou: run.iou[i], condition: condition(i) }] : [];
  });
  const toml = (text) => JSON.stringify(text).replaceAll("\u007f", "\\u007f");
  const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const accepted = () => exported().filter((each) => each.decision === "known");
  const reason = (each) => each.note || "accepted in review";
  const known = () => {
    const groups = new Map();
    for (const each of accepted()) groups.set(reason(each), [...(groups.get(reason(each)) ?? []), each.condition]);
    return [...groups].map(([why, conditions]) => `[[tool.segqa.known]]\nwhere = ${toml(conditions.join(" or "))}\nreason = ${toml(why)}\nuntil = ${$("#until").value}\n`).join("\n");
  };
  const showExport = () => {
    const all = exported(), of = (name) => all.filter((each) => each.decision === name).length;
    $("#tally").textContent = all.length ? `${of("known")} accepted as known, ${many(of("bug"), "bug")}, ${many(of("label"), "label error")}, ${all.filter((each) => each.note).length} with a note.` : "Nothing has been decided yet.";
    if (!$("#until").value) $("#until").value = new Date(Date.now() + 30 * 864e5).toISOString().slice(0, 10);
    $("#known").value = known();
    const reasons = [...new Set(accepted().map(reason))].join("; ");
    $("#accept-whole").hidden = !run.whole;
    $("#accept").value = run.whole && accepted().length ? `segqa baseline accept ${shell(run.run)} --reason ${shell(reasons)}` : "";
    if (!$("#export").open) $("#export").showModal();
  };
  const download = () => {
    const text = JSON.stringify({ version: 1, run: run.run, model: run.model, dataset: run.dataset, decisions: exported() }, null, 2);
    const url = URL.createObjectURL(new Blob([text + "\n"], { type: "application/json" }));
    const anchor = h("a", { href: url, download: `decisions-${run.run}.json` });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };

  // ---- the page follows the address ------------------------------------------------------------------------------
  const apply = () => {
    const wants = asked();
    const wanted = runs.find((each) => each.run === wants.run) ?? runs[Number(wants.run ?? 0)] ?? runs[0];
    if (wanted !== run) { run = wanted; shown = ""; current = -1; }
    for (const [at, section] of $$(".run").entries()) section.hidden = runs[at] !== run;
    for (const [at, anchor] of $$("#runs a").entries()) anchor.setAttribute("aria-current", String(runs[at] === run));
    countDecisions();
    showList(wants);
    const at = run.place.get(wants.case ?? "") ?? run.id.indexOf(wants.case ?? "");
    if (wants.case && at >= 0) showCase(at);
    else if ($("#case").open) closeCase();
  };
  for (const event of ["hashchange", "popstate"]) {
    addEventListener(event, () => {
      if (fragment === location.hash.slice(1)) return;
      fragment = location.hash.slice(1);
      apply();
    });
  }
  addEventListener("click", (event) => {
    const anchor = event.target.closest("a[href^='#']");
    if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const href = anchor.getAttribute("href"), wants = Object.fromEntries(new URLSearchParams(href.slice(1)));
    // a link to a case keeps the filters of its run
    visit(wants.case && (wants.run ?? "") === (asked().run ?? "") ? address(wants) : href, true);
    if (!asked().case) $("#cases").scrollIntoView();
  });

  // ---- controls --------------------------------------------------------------------------------------------------
  for (const name of ["kind", "cluster", "slice", "prompt", "outcome", "change", "review", "sort"]) {
    $("#" + name).addEventListener("change", (event) => go({ [name]: event.target.value }));
  }
  $("#q").addEventListener("input", (event) => go({ q: event.target.value }));
  $("#range").addEventListener("click", () => go({ iou: "" }));
  $("#clear").addEventListener("click", () => { $("#q").value = ""; go(Object.fromEntries(Object.keys(TESTS).map((name) => [name, ""]))); });
  $("#more").addEventListener("click", showMore);
  $("#previous").addEventListener("click", () => step(-1));
  $("#next").addEventListener("click", () => step(1));
  for (const event of ["cancel", "close"]) $("#case").addEventListener(event, closeCase);
  for (const button of $$("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  for (const button of $$("[data-copy]")) {
    const from = document.getElementById(button.dataset.copy);
    button.addEventListener("click", () => copy(from.value ?? from.textContent, button.dataset.what));
  }
  $("#copy-link").addEventListener("click", () => copy(link(), "link"));
  for (const button of $$("#tools [data-mode]")) button.addEventListener("click", () => { view.mode = button.dataset.mode; paint(); });
  const toggle = (name) => {
    if (name !== "before") view[name] = !view[name];
    else if (!exhibit(current)?.before) say("the baseline's prediction is not known");
    else view.mask = view.mask === "before" ? "picked" : "before";
    paint();
  };
  for (const button of $$("#tools [data-layer]")) button.addEventListener("click", () => toggle(button.dataset.layer));
  const setOpacity = (value) => { view.opacity = Math.min(1, Math.max(0.1, value)); paint(); };
  $("#opacity").addEventListener("input", (event) => setOpacity(Number(event.target.value)));
  $("#split").addEventListener("input", (event) => { view.split = Number(event.target.value); paint(); });
  for (const button of $$("#tools [data-zoom]")) button.addEventListener("click", () => zoom(Number(button.dataset.zoom)));
  for (const button of $$("#triage [data-decision]")) {
    button.addEventListener("click", () => {
      const same = decisions()[run.id[current]]?.decision === button.dataset.decision;
      decide(current, { decision: same ? "" : button.dataset.decision });
      showCase(current);
    });
  }
  $("#note").addEventListener("input", (event) => decide(current, { note: event.target.value }));
  $("#export-open").addEventListener("click", showExport);
  $("#until").addEventListener("input", showExport);
  $("#download").addEventListener("click", download);
  $("#help-open").addEventListener("click", () => $("#help").showModal());
  $("#theme").addEventListener("change", (event) => {
    document.documentElement.dataset.theme = event.target.value;
    try { localStorage.setItem("segqa:theme", event.target.value); } catch { /* a sandbox has no storage */ }
  });
  for (const image of $$("img[data-thumb]")) image.src = source("th", image.dataset.thumb) ?? "";

  const panes = $("#panes");
  panes.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = event.target.closest(".pane")?.getBoundingClientRect();
    if (box) zoom(event.deltaY < 0 ? 1.25 : 0.8, event.clientX - box.x - box.width / 2, event.clientY - box.y - box.height / 2);
  }, { passive: false });
  panes.addEventListener("pointerdown", (event) => { if (event.target.closest(".pane")) panes.setPointerCapture(event.pointerId); });
  panes.addEventListener("pointermove", (event) => {
    if (!panes.hasPointerCapture(event.pointerId) || view.zoom === 1) return;
    Object.assign(view, { x: view.x + event.movementX, y: view.y + event.movementY });
    place();
  });

  const focusCard = (by) => {
    const cards = $$("#cards .card"), at = cards.indexOf(document.activeElement);
    const next = cards[at < 0 ? 0 : Math.min(cards.length - 1, Math.max(0, at + by))];
    next?.focus();
  };
  const CASE_KEYS = {
    j: () => step(1), ArrowRight: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowLeft: () => step(-1), ArrowUp: () => step(-1),
    "[": () => setOpacity(view.opacity - 0.1), "]": () => setOpacity(view.opacity + 0.1), o: () => toggle("outline"),
    e: () => toggle("error"), g: () => toggle("target"), p: () => toggle("prediction"), b: () => toggle("before"),
    r: () => { view.mask = "picked"; paint(); },
    v: () => { view.mode = { four: "slider", slider: "one", one: "four" }[view.mode]; paint(); },
    "+": () => zoom(1.5), "-": () => zoom(1 / 1.5), f: () => zoom(0), n: nextNew,
    c: () => copy(command(current), "command"), y: () => copy(link(), "link"),
    a: () => $("[data-decision=known]").click(), x: () => $("[data-decision=bug]").click(), l: () => $("[data-decision=label]").click(),
    m: () => $("#others a")?.click(),
    " ": () => { view.hidden = true; paint(); },
  };
  const PAGE_KEYS = { j: () => focusCard(1), ArrowRight: () => focusCard(1), k: () => focusCard(-1), ArrowLeft: () => focusCard(-1), n: nextNew, "/": () => $("#q").focus(), "?": () => $("#help").showModal() };
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=range]), textarea, select"), open = top();
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.closest("button, a, summary")) return;
    if (event.key.startsWith("Arrow") && (event.target.closest("input") || event.target.matches(".scroll, .chart, .side, pre"))) return;
    if (event.key.startsWith("Arrow") && event.target.closest(".bars")) { roam(event); return; }
    let action = open ? (open.id === "case" ? CASE_KEYS[event.key] : undefined) : PAGE_KEYS[event.key];
    if (open?.id === "case" && event.key === "?") action = PAGE_KEYS["?"];
    if (open?.id === "case" && /^[0-9]$/.test(event.key) && run.offers[current].length > Number(event.key)) {
      action = () => { view.mask = Number(event.key); paint(); };
    }
    if (!action) return;
    event.preventDefault();
    action();
  });
  addEventListener("resize", () => { if (current >= 0) paint(); });
  addEventListener("keyup", (event) => { if (event.key === " " && view.hidden) { view.hidden = false; paint(); } });

  // The bars of the histogram are one stop of the tabulator; arrows go from bar to bar.
  const roam = (event) => {
    const bars = $$("a", event.target.closest(".bars")), at = bars.indexOf(event.target);
    const next = bars[at + ({ ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key] ?? 0)];
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  };
  for (const bars of $$(".bars")) $$("a", bars).forEach((bar, at) => (bar.tabIndex = at ? -1 : 0));

  document.documentElement.classList.add("js");
  try { document.documentElement.dataset.theme = $("#theme").value = localStorage.getItem("segqa:theme") || "auto"; } catch { /* as above */ }
  const beginning = { run: data.open || "", outcome: runs[data.open].kind.some((kind) => kind > 0) ? "failing" : "" };
  if (!fragment && (beginning.run || beginning.outcome)) go(beginning);
  else apply();
})();
