// Types of the page's modules, for the type checker alone: nothing of this is served.

/** A mask: run lengths down the columns, background first, as in COCO's RLE. */
type Runs = Uint32Array;
type Size = { height: number; width: number };
type Levels = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;
/** A window in modality units (DICOM PS3.3 C.11.2.1.2). */
type GreyWindow = { center: number; width: number; function: string };
type Spacing = { row_mm: number; column_mm: number; source: string };
/** Device pixels for a film pixel, and the film's point in the upper left corner. */
type Place = { scale: number; x: number; y: number };
type Point = [x: number, y: number];
/** In film pixels. */
type Stroke = { points: Point[]; radius: number };
type Tool = "window" | "pan" | "brush" | "eraser";
type Film = import("./film.js").Film;
type Pixels = import("./greys.js").Pixels;

/** An instance; score and doubt (outline uncertainty) are null where somebody drew it. */
interface Instance {
	readonly id: number;
	readonly label: string;
	readonly score: number | null;
	readonly doubt: number | null;
	readonly runs: Runs;
	readonly edited: boolean;
}
/** What an edit makes a new one of. */
type Version = { readonly instances: readonly Instance[]; readonly threshold: number };
type Step = { what: string; version: Version };

/** What the service says of an image. */
type Facts = Size & {
	sha256: string;
	frame: number;
	grey: string;
	pixel_spacing: Spacing | null;
	out_of_distribution: { score: number; flagged: boolean } | null;
};
type Found = {
	label: string;
	score: number;
	outline_uncertainty: number;
	segmentation: { counts: string };
};
type Model = {
	name: string;
	version: string;
	sha256: string;
	class_names: string[];
	category_ids: number[];
	score_threshold: number;
};

/** What the page does with pointers on the film; points in film pixels. */
type Hand = {
	tool(): Tool;
	radius(): number;
	/** by parts of the stage */
	window(across: number, down: number): void;
	/** whether a stroke begins; with Alt the chosen instance stays so, with Ctrl the tool is the other */
	begin(at: Point, keep: boolean, flip: boolean): boolean;
	/** null: it was given up */
	end(stroke: Stroke | null): void;
	hover(at: Point): void;
	pick(at: Point): void;
};

type Row = { item: HTMLElement; choose: HTMLButtonElement; name: HTMLElement; note: HTMLElement };
type InstanceRow = Row & { box: HTMLInputElement; number: HTMLElement };

/** Everything in the document that has an id. */
type Elements = Record<
	| "about" | "areas" | "bright" | "empty" | "facts" | "groups" | "instances" | "instanceList"
	| "instanceTitle" | "filmList" | "filmTitle" | "keys" | "model" | "refusal" | "scoreValue"
	| "edits" | "stage" | "status" | "tools" | "warning" | "wrongKey",
	HTMLElement
> &
	Record<
		| "undo" | "redo" | "save" | "dicom" | "invert" | "outlines" | "holes" | "largest" | "delete" | Tool,
		HTMLButtonElement
	> &
	Record<
		| "center" | "files" | "fill" | "key" | "letters" | "patient" | "reviewed" | "score" | "size"
		| "spread",
		HTMLInputElement
	> &
	Record<"film" | "masks" | "pixels", HTMLCanvasElement> &
	Record<"preset" | "class", HTMLSelectElement> &
	Record<"askKey" | "askAll" | "help", HTMLDialogElement>;

type Make = <K extends keyof HTMLElementTagNameMap>(
	tag: K,
	properties?: Partial<HTMLElementTagNameMap[K]>,
	...children: (Node | string)[]
) => HTMLElementTagNameMap[K];
type Style = { colour: string; strong: boolean; fill: number };
type Brush = { at: Point | null; radius: number; stroke: Stroke | null };
/** By key: what it does in words, and the doing. */
type Commands = Record<string, [key: string, words: string, act: () => unknown]>;

// What functions take and give. Runs are of films of a height, in pixels.

/** pixels: height times width, where known. */
type ToRuns = (lengths: number[], pixels?: number) => Runs;
type DecodeCounts = (text: string, pixels?: number) => Runs;
type EmptyRuns = (height: number, width: number) => Runs;
/** The columns `xs`, and in `ys` the first row of each piece and the row after its last. */
type ColumnsOf = (runs: Runs, height: number) => { xs: number[]; ys: number[] };
type Contains = (runs: Runs, height: number, x: number, y: number) => boolean;
type Trace = (runs: Runs, height: number) => Int32Array[];
/** The tolerance is in the film's pixels. */
type Simplify = (ring: Int32Array, tolerance: number) => Int32Array;

type Edit = (what: string, change: Partial<Version>) => void;
type Change = (what: string, one: Instance, change: Partial<Instance>) => void;
type MoveStep = (from: Step[], to: Step[]) => string | undefined;
type Waits = (why: string) => void;
type Send = (path: string, request: RequestInit, waits: Waits) => Promise<Response>;
/** Gives the model that answered. */
type AskForFilm = (film: Film, model: Model, waits: Waits) => Promise<Model>;
type Download = (file: Blob, name: string) => void;
type Press = (button: Element, pressed: boolean) => void;
type Count = (number: number, thing: string) => string;
type Put = (list: Element, item: Element, at: number) => void;

/** Cells in film order; table: the model's grey by cell; values: modality values, NaN is padding. */
type Stored = Size & {
	cells: Levels;
	table: Uint8Array;
	values: Float32Array;
	window: GreyWindow;
	inverted: boolean;
};
type Rank = (
	values: Float32Array,
	table: Uint8Array,
) => { ranks: Uint16Array; levels: Float32Array; seen: Uint8Array };
type Shade = (value: number, window: GreyWindow) => number;
/** Parts of 1. */
type Between = (low: number, high: number) => GreyWindow;
/** A window of null is the model's own grey. */
type Colours = (window: GreyWindow | null, invert: boolean) => Uint32Array;
type SetWindow = (change: Partial<GreyWindow> | null, name?: string) => void;
type DrawPixels = (
	context: CanvasRenderingContext2D,
	place: Place,
	colours: Uint32Array,
	quick: boolean,
) => void;
type DrawInstances = (
	context: CanvasRenderingContext2D,
	place: Place,
	size: Size,
	instances: Instance[],
	style: (one: Instance) => Style,
) => void;
type DrawBrush = (context: CanvasRenderingContext2D, place: Place, brush: Brush) => void;
/** Gives the width of a line of one pixel of the screen. */
type OnFilm = (context: CanvasRenderingContext2D, place: Place) => number;
type WritePng = (grey: Uint8Array, size: Size) => Promise<Blob>;
type Chunk = (type: string, data: Uint8Array) => Uint8Array<ArrayBuffer>;

/** A factor of 0 shows a pixel of the film as one of the screen; the middle stays by default. */
type Zoom = (factor: number, at?: Point) => void;
/** By device pixels. */
type Pan = (across: number, down: number) => void;
type PutPoint = (point: Point, at: Point) => void;
type Of = (event: MouseEvent) => Point;
type OnPoint = (at: Point) => Point;
type Pinch = (before: PointerEvent, event: PointerEvent) => void;
type Up = (event: PointerEvent, done: boolean) => void;
/** keeps: the chosen one, also inside another. */
type Target = (under: Instance | undefined, keeps: boolean) => Instance;
type EditWith = (act: (edits: typeof import("./edits.js")) => void) => () => Promise<void>;
type Remake = (how: "fillHoles" | "keepLargest", what: string) => void;
type DrawRow = (one: Instance, at: number) => void;
type Show = (ids: number[], shows: boolean) => void;
type Listen = (view: import("./view.js").View, preset: (name: string) => void) => void;
type IsOthers = (event: KeyboardEvent, key: string) => boolean;
