// Geometry of boxes: crystal_eyes/boxes.py.

/** left, top, right, bottom in pixels of the picture */
export type Box = [number, number, number, number];

export function area(box: Box): number {
  return Math.max(0, box[2] - box[0]) * Math.max(0, box[3] - box[1]);
}

export function intersection(a: Box, b: Box): number {
  const across = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const down = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return Math.max(0, across) * Math.max(0, down);
}

/** Intersection over union; 0 where both boxes are empty. */
export function iou(a: Box, b: Box): number {
  const shared = intersection(a, b);
  const union = area(a) + area(b) - shared;
  return union > 0 ? shared / union : 0;
}

export function clip(box: Box, width: number, height: number): Box {
  const inside = (value: number, most: number) => Math.min(Math.max(value, 0), most);
  return [inside(box[0], width), inside(box[1], height), inside(box[2], width), inside(box[3], height)];
}

/** Greedy non-maximum suppression: the places of the boxes that are kept, by falling score; of equal scores the first wins. */
export function nms(boxes: Box[], scores: ArrayLike<number>, maxIou: number): number[] {
  const order = boxes.map((_, place) => place).sort((a, b) => scores[b]! - scores[a]!);
  const keep: number[] = [];
  for (const place of order) {
    if (keep.every((kept) => iou(boxes[kept]!, boxes[place]!) <= maxIou)) keep.push(place);
  }
  return keep;
}
