type Context2D = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/**
 * Whether a canvas gives back what is drawn on it, at its last pixel. A browser that hides its user's machine from pages (Tor
 * Browser, Firefox's resistFingerprinting) gives noise, and one for which the canvas is too large gives nothing: neither may go
 * in a picture's place. Others change a colour by a little.
 */
export function tells(context: Context2D): boolean {
  const [x, y] = [context.canvas.width - 1, context.canvas.height - 1];
  context.fillStyle = "#0c78c8";
  context.fillRect(x, y, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(x, y, 1, 1).data;
  context.clearRect(x, y, 1, 1);
  return Math.abs(red - 12) + Math.abs(green - 120) + Math.abs(blue - 200) < 9;
}
