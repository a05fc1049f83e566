// The controls around the viewer of a case.

const byId = (id) => document.getElementById(id);

function followChoices(viewer) {
  const follow = (name, act) => {
    for (const input of document.getElementsByName(name)) input.addEventListener('change', () => act(input));
  };
  follow('modality', ({ value }) => viewer.showModality(value));
  follow('view', ({ value }) => viewer.showView(value));
  follow('class', ({ value, checked }) => viewer.showClass(Number(value), checked));
}

function choose(name, value) {
  for (const input of document.getElementsByName(name)) input.checked = input.value === value;
}

function followSliders(viewer) {
  for (const [id, axis] of Object.entries(PLANES)) {
    const slider = byId(id);
    slider.max = viewer.shape[axis] - 1;
    slider.addEventListener('input', () => viewer.goAlong(axis, Number(slider.value)));
  }
  byId('centre').addEventListener('click', () => viewer.goTo(viewer.page.focus));
  byId('contrast').addEventListener('click', () => viewer.resetContrast());
}

function followOpacity(viewer) {
  const slider = byId('opacity');
  slider.addEventListener('input', () => {
    byId('opacity-value').textContent = `${slider.value} %`;
    viewer.showOpacity(slider.value / 100);
  });
}

function showPosition(viewer, { mm, values }) {
  const { modalities, classes } = viewer.page;
  const place = [...mm].slice(0, 3).map((value) => value.toFixed(1).replace('-', '\u2212'));
  const title = modalities.find(({ id }) => id === viewer.modality).title;
  const found = classes.find(({ value }) => value === Math.round(values[1].value));
  byId('position').textContent = `Crosshair: x ${place[0]}, y ${place[1]}, z ${place[2]} mm`
    + ` \u00b7 ${title} about ${Number(values[0].value.toPrecision(3))} \u00b7 ${found ? found.name : 'No tumour'}`;
  for (const [id, axis] of Object.entries(PLANES)) {
    byId(id).value = viewer.voxel[axis];
    byId(id).setAttribute('aria-valuetext', `${'xyz'[axis]} ${place[axis]} mm`);
  }
}

function showRecord() {
  const record = byId('run-record');
  if (record) byId('record-text').textContent = JSON.stringify(JSON.parse(record.textContent), null, 2);
}

async function start() {
  showRecord();
  if (!document.createElement('canvas').getContext('webgl2')) throw new Error('it has no WebGL 2');
  const viewer = new Viewer(await loadNiiVue(), JSON.parse(byId('page').textContent));
  await viewer.open(byId('canvas'), Number(byId('opacity').value) / 100);
  const view = viewer.slow ? 'planes' : 'all';
  choose('modality', viewer.modality);  // a browser that goes back to the page keeps what was chosen before
  choose('view', view);
  followChoices(viewer);
  followSliders(viewer);
  followOpacity(viewer);
  viewer.onMove = (location) => showPosition(viewer, location);
  viewer.nv.createOnLocationChange();
  for (const id of ['controls', 'steering']) byId(id).disabled = false;
  document.body.classList.add('ready');
  globalThis.viewer = viewer;
  await nextFrame();  // the planes are seen before the 3-D view, which takes longer
  performance.mark('drawn');
  await viewer.showView(view);
}

start().catch((fault) => {
  const reason = `This browser cannot show pictures that move (${fault.message}).`;
  byId('fault').textContent = `${reason} Below is one that does not.`;
  byId('fault').hidden = false;
  document.body.classList.add('failed');
});
