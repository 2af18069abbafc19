// Opens what an address points to, where it is folded. Browsers do so for what lies within, the newer of them, but not for the fold itself.
"use strict";
(() => {
  const unfold = (hash) => {
    let name;
    try { name = decodeURIComponent(hash.slice(1)); } catch { return; }
    const target = name && document.getElementById(name);
    if (!target) return;
    let closed = false;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      closed ||= !fold.open;
      fold.open = true;
    }
    if (closed) target.scrollIntoView();
  };

  addEventListener("hashchange", () => unfold(location.hash));
  // The same link again changes no address.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) unfold(link.hash);
  });
  unfold(location.hash);
})();
