// One canvas of NiiVue: a modality in grey, the classes in colour over it. Everything that it shows lies in this page.
'use strict';

// Each plane with the axis that it crosses: x to the patient's right, y to the front, z to the top.
const PLANES = { axial: 2, coronal: 1, sagittal: 0 };
const [AXIAL, CORONAL, SAGITTAL, RENDER] = [0, 1, 2, 4];  // NiiVue's numbers
const WINDOWING = 9;
const whole = (sliceType) => [{ sliceType, position: [0, 0, 1, 1] }];
// Where each view lies: left, top, width and height as shares of a wide canvas, or of a square one.
const WIDE = {
  all: [
    { sliceType: AXIAL, position: [0, 0, 0.49, 1] },
    { sliceType: CORONAL, position: [0.5, 0, 0.245, 0.49] },
    { sliceType: SAGITTAL, position: [0.755, 0, 0.245, 0.49] },
    { sliceType: RENDER, position: [0.5, 0.5, 0.5, 0.5] },
  ],
  planes: [
    { sliceType: AXIAL, position: [0, 0, 0.325, 1] },
    { sliceType: CORONAL, position: [0.3375, 0, 0.325, 1] },
    { sliceType: SAGITTAL, position: [0.675, 0, 0.325, 1] },
  ],
};
const SQUARE = {
  all: [
    { sliceType: AXIAL, position: [0, 0, 0.49, 0.49] },
    { sliceType: CORONAL, position: [0.51, 0, 0.49, 0.49] },
    { sliceType: SAGITTAL, position: [0, 0.51, 0.49, 0.49] },
    { sliceType: RENDER, position: [0.51, 0.51, 0.49, 0.49] },
  ],
  planes: [
    { sliceType: AXIAL, position: [0, 0, 0.49, 0.49] },
    { sliceType: CORONAL, position: [0.51, 0, 0.49, 0.49] },
    { sliceType: SAGITTAL, position: [0.255, 0.51, 0.49, 0.49] },
  ],
};
const SINGLE = { axial: whole(AXIAL), coronal: whole(CORONAL), sagittal: whole(SAGITTAL), volume: whole(RENDER) };
const SCALE_MM = 50;
const WIDE_FROM = 1.35;  // width over height
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;  // graphics without a GPU, by name
// The arrow keys as seen on the planes, in radiological convention: axis and direction.
const KEYS = {
  ArrowLeft: [0, 1], ArrowRight: [0, -1], ArrowUp: [1, 1], ArrowDown: [1, -1], PageUp: [2, 1], PageDown: [2, -1],
};
const TURNS = { ArrowLeft: [-5, 0], ArrowRight: [5, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] };  // degrees

// The bytes of a script element; its text is dropped, so that it does not stay in memory twice.
function bytesOf(id) {
  const element = document.getElementById(id);
  const binary = atob(element.textContent);
  element.remove();
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

const nextFrame = () => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });

function inflated(id) {
  return new Response(new Blob([bytesOf(id)]).stream().pipeThrough(new DecompressionStream('gzip')));
}

async function loadNiiVue() {
  const script = document.createElement('script');
  const source = inflated('niivue').text();
  await nextFrame();  // the page is seen before NiiVue is read, which takes a while
  script.textContent = await source;
  document.head.append(script);
  return globalThis.niivue;
}

class Viewer {
  constructor(library, page) {
    this.library = library;
    this.page = page;
    this.scale = document.getElementById('scale');
    this.images = new Map();
    this.bytes = new Map(['classes', page.shown].map((id) => [id, inflated(`volume-${id}`).arrayBuffer()]));
    this.hidden = new Set();
    this.modality = page.shown;
    this.view = 'planes';
    this.lit = false;
    this.onMove = () => {};
    this.nv = new library.Niivue({
      logLevel: 'error', loadingText: '', dragAndDropEnabled: false, scrollRequiresFocus: true,
      isRadiologicalConvention: true, sagittalNoseLeft: true,
      isOrientationTextVisible: page.oriented, showAllOrientationMarkers: true, fontColor: [0.85, 0.88, 0.92, 1],
      crosshairColor: [1, 1, 1, 1], crosshairWidthUnit: 'mm', crosshairWidth: 0.5, crosshairGap: 24,
      show3Dcrosshair: true, isRuler: true, dragMode: WINDOWING,
    });
    this.nv.onLocationChange = (location) => this.onMove(location);
    this.nv.drawRuler = () => this.drawScale();  // NiiVue's own is missing in radiological convention
  }

  async open(canvas, opacity) {
    await this.nv.attachToCanvas(canvas);
    this.shaders = [this.nv.blurShader, this.nv.sobelFirstOrderShader];
    this.computeGradient(false);
    this.overlay = await this.image('classes');
    this.overlay.opacity = opacity;
    this.paint();
    const volume = await this.image(this.modality);
    this.nv.isBusy = true;  // NiiVue would draw at each of these steps
    this.nv.volumes = [volume, this.overlay];
    this.nv.setVolume(volume, 0);
    const onTheRight = this.nv.mm2frac(this.page.focus)[0] > 0.5;
    this.nv.setRenderAzimuthElevation(onTheRight ? 120 : 240, 15);  // from the tumour's side
    this.nv.scene.volScaleMultiplier = 1.25;
    this.goTo(this.page.focus);
    this.nv.isBusy = false;
    this.arrange();
    new ResizeObserver(() => this.arrange()).observe(canvas);
    canvas.parentElement.addEventListener('keydown', (event) => this.steer(event), { capture: true });
    canvas.parentElement.addEventListener('keyup', (event) => event.stopPropagation(), { capture: true });
  }

  // Whether the processor draws, for which a 3-D view takes seconds.
  get slow() {
    const gl = this.nv.gl;
    const names = gl.getExtension('WEBGL_debug_renderer_info');
    return SOFTWARE.test(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  }

  async image(id) {
    if (!this.images.has(id)) {
      const bytes = this.bytes.get(id) ?? inflated(`volume-${id}`).arrayBuffer();
      this.bytes.delete(id);
      this.images.set(id, bytes.then(
        (url) => this.library.NVImage.loadFromUrl({ url, name: `${id}.nii`, colormap: 'gray' })));
    }
    return this.images.get(id);
  }

  async showModality(id) {
    this.modality = id;
    const volume = await this.image(id);
    if (this.modality !== id) return;  // another was chosen meanwhile
    this.nv.volumes = [volume, this.overlay];
    this.nv.setVolume(volume, 0);
    this.nv.createOnLocationChange();
  }

  async showView(id) {
    this.view = id;
    const [before, now] = [this.gradient, id === 'all' || id === 'volume'];
    this.computeGradient(now);
    if (now && !this.lit) {
      this.lit = true;
      await this.nv.setVolumeRenderIllumination(0.6);
      await this.nv.setGradientOpacity(0.4);  // a brain of glass, in which the tumour is seen
    } else if (now && !before) {
      this.nv.updateGLVolume();
    }
    this.arrange();
  }

  // NiiVue takes the volume's gradient at every change of a colour. Only a 3-D view needs it, and without a GPU it
  // takes a second, so else its two shaders draw a single pixel.
  computeGradient(wanted) {
    this.gradient = wanted;
    const idle = (shader) => ({ uniforms: {}, use: (gl) => { shader.use(gl); gl.viewport(0, 0, 1, 1); } });
    [this.nv.blurShader, this.nv.sobelFirstOrderShader] = wanted ? this.shaders : this.shaders.map(idle);
  }

  arrange() {
    const { clientWidth, clientHeight } = this.nv.canvas;
    const layouts = clientWidth > WIDE_FROM * clientHeight ? WIDE : SQUARE;
    const layout = layouts[this.view] ?? SINGLE[this.view];
    if (layout !== this.nv.getCustomLayout()) this.nv.setCustomLayout(layout);  // which draws
  }

  // A bar of some centimetres at the lower left of the first plane.
  drawScale() {
    const { canvas, screenSlices } = this.nv;
    const tile = screenSlices.find(({ axCorSag }) => axCorSag !== RENDER);
    this.scale.hidden = !tile;
    if (!tile) return;
    const share = canvas.clientWidth / canvas.width;
    const [left, top, width, height] = tile.leftTopWidthHeight.map((length) => length * share);
    Object.assign(this.scale.style, {
      left: `${left + 10}px`, top: `${top + height - 10}px`, width: `${SCALE_MM * width / Math.abs(tile.fovMM[0])}px`,
    });
  }

  showClass(value, shown) {
    if (shown) this.hidden.delete(value); else this.hidden.add(value);
    this.paint();
    this.nv.updateGLVolume();
  }

  paint() {
    const shown = this.page.classes.filter(({ value }) => !this.hidden.has(value));
    const table = [{ value: 0, colour: [0, 0, 0], alpha: 0 }, ...shown.map((entry) => ({ ...entry, alpha: 255 }))];
    const channel = (index) => table.map(({ colour }) => colour[index]);
    this.overlay.setColormapLabel({
      R: channel(0), G: channel(1), B: channel(2),
      A: table.map(({ alpha }) => alpha), I: table.map(({ value }) => value),
    });
  }

  showOpacity(share) {
    this.overlay.opacity = share;
    this.nv.updateGLVolume();
  }

  resetContrast() {
    const [volume] = this.nv.volumes;
    [volume.cal_min, volume.cal_max] = [volume.robust_min, volume.robust_max];
    this.nv.updateGLVolume();
  }

  // Voxels along x, y and z: NiiVue has turned the volume to the patient's axes.
  get shape() { return this.nv.volumes[0].dimsRAS.slice(1, 4); }

  get voxel() { return this.shape.map((n, axis) => Math.min(n - 1, Math.floor(this.nv.scene.crosshairPos[axis] * n))); }

  goAlong(axis, index) {
    const place = [...this.nv.scene.crosshairPos];
    const n = this.shape[axis];
    place[axis] = (Math.min(n - 1, Math.max(0, index)) + 0.5) / n;
    this.moveTo(place);
  }

  goTo(mm) { this.moveTo([...this.nv.mm2frac(mm)]); }

  moveTo(share) {
    this.nv.scene.crosshairPos = share;
    this.nv.createOnLocationChange();
    this.nv.drawScene();
  }

  // The keys of the pictures; NiiVue's own are kept from it, since they know nothing of the controls.
  steer(event) {
    event.stopPropagation();
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const turn = this.view === 'volume' && TURNS[event.key];
    const step = KEYS[event.key];
    if (turn) {
      const { renderAzimuth, renderElevation } = this.nv.scene;
      this.nv.setRenderAzimuthElevation(renderAzimuth + turn[0], renderElevation + turn[1]);
    } else if (step) {
      this.goAlong(step[0], this.voxel[step[0]] + step[1]);
    } else {
      return;
    }
    event.preventDefault();
  }
}
