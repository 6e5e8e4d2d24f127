
'use strict';
(() => {
  const entries = [...document.querySelectorAll('article')].map((element) => ({ element, text: null }));
  const sections = [...document.querySelectorAll('section')];
  const box = document.createElement('search');
  const input = document.createElement('input');
  const count = document.createElement('small');
  input.type = 'search';
  input.placeholder = 'Search';
  input.setAttribute('aria-label', 'Search all entries');
  count.setAttribute('role', 'status');
  box.append(input, count);
  document.querySelector('header').append(box);

  const search = () => {
    const wanted = input.value.trim().toLowerCase();
    let found = 0;
    for (const entry of entries) {
      entry.text ??= entry.element.textContent.toLowerCase();
      const holds = wanted === '' || entry.text.includes(wanted);
      entry.element.hidden = !holds;
      found += holds ? 1 : 0;
      if (wanted !== '') {
        for (const details of entry.element.querySelectorAll('details')) {
          details.open = holds && details.textContent.toLowerCase().includes(wanted);
        }
      }
    }
    for (const section of sections) {
      section.hidden = wanted !== '' && section.querySelector('article:not([hidden])') === null;
    }
    count.textContent = wanted === '' ? '' : `${found} of ${entries.length}`;
  };
  let waiting = 0;
  input.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 120);
  });
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    const details = target?.querySelector(':scope > details');
    if (details) details.open = true;
  };
  addEventListener('hashchange', reveal);
  reveal();
})();
