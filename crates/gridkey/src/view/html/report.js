// The filter of the list, and the switch between light and dark. Everything else is there without it.
"use strict";
(() => {
    const theme = document.getElementById("theme");
    theme.hidden = false;
    theme.addEventListener("click", () => {
        const root = document.documentElement;
        const machine = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
        const now = root.dataset.theme || machine;
        root.dataset.theme = now === "dark" ? "light" : "dark";
    });

    const filter = document.getElementById("filter");
    if (!filter) {
        return;
    }
    filter.hidden = false;
    const find = document.getElementById("find");
    const account = document.getElementById("account");
    const shown = document.getElementById("shown");
    const toggles = [...filter.querySelectorAll("button[data-action]")];
    const entries = [...document.querySelectorAll(".change")].map((element) => ({
        element,
        text: element.textContent.toLowerCase(),
    }));
    const apply = () => {
        const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
        const off = new Set(
            toggles.filter((toggle) => toggle.getAttribute("aria-pressed") === "false").map((toggle) => toggle.dataset.action),
        );
        let count = 0;
        for (const { element, text } of entries) {
            const fits =
                !off.has(element.dataset.action) &&
                (!account || account.value === "" || account.value === element.dataset.account) &&
                words.every((word) => text.includes(word));
            element.hidden = !fits;
            count += fits ? 1 : 0;
        }
        shown.textContent = `${count} of ${entries.length}`;
    };
    find.addEventListener("input", apply);
    if (account) {
        account.addEventListener("change", apply);
    }
    for (const toggle of toggles) {
        toggle.addEventListener("click", () => {
            toggle.setAttribute("aria-pressed", toggle.getAttribute("aria-pressed") === "true" ? "false" : "true");
            apply();
        });
    }
    // What a browser remembers of a form when a page is loaded again.
    apply();
})();
