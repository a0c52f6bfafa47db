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
  | "edits" | "stage" | "status" | "tools" | "warning",
  HTMLElement
> &
  Record<
    | "undo" | "redo" | "save" | "invert" | "outlines" | "holes" | "largest" | "delete" | Tool,
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
type Brush = { at: Point | null; radius: number; stroke: Stroke | null; colour: string };
/** By key: what it does in words, and the doing. */
type Commands = Record<string, [key: string, words: string, act: () => unknown]>;
