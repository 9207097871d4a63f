// A table that scrolls sideways must be reachable by keyboard; the theme has wrapped it by now.
addEventListener("load", () => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (table.scrollWidth > table.clientWidth) {
      table.tabIndex = 0;
    }
  }
});

// A browser gives the index of the search to no page from disk.
if (location.protocol === "file:") {
  for (const part of document.querySelectorAll(".md-search, [for=__search]")) {
    part.remove();
  }
}

// A link to some lines of a file tints them.
const [, first, last] = location.search.match(/lines=(\d+)-(\d+)/)?.map(Number) ?? [];
for (let number = first; number <= last; number++) {
  document.getElementById(`line-0-${number}`)?.classList.add("hll");
}

// The view of the diffs stays as it was chosen.
for (const view of document.querySelectorAll("[name=view]")) {
  view.checked = view.value === (localStorage.getItem("diff-view") ?? "side-by-side");
  view.addEventListener("change", () => localStorage.setItem("diff-view", view.value));
}

// To the previous and the next change, as seen from what is at the top of the window.
const changes = [...document.querySelectorAll(".hunk")];
const distance = (change) =>
  change.getBoundingClientRect().top - parseFloat(getComputedStyle(change).scrollMarginTop);
for (const button of document.querySelectorAll(".diff .next")) {
  button.addEventListener("click", () =>
    changes.find((change) => distance(change) > 1)?.scrollIntoView(),
  );
}
for (const button of document.querySelectorAll(".diff .previous")) {
  button.addEventListener("click", () =>
    changes.findLast((change) => distance(change) < -1)?.scrollIntoView(),
  );
}
