import { useLayoutEffect, useRef } from "preact/hooks";
import type { Stage } from "../control/stage";
import { megabytes } from "../name";
import { isDrawing, state } from "../state";
import { ContactSheet } from "./batch";

const { chosen, batch, drawing, fileProblem, isDraggedOver } = state.stage;

/** The picture that is to be sent. */
export function StageSection({ control }: { control: Stage }) {
  const file = chosen.value;
  return (
    <section className="stage" aria-label="Picture">
      <div className={`frame drop ${isDraggedOver.value ? "dragged-over" : ""}`} id="drop">
        <Drawn control={control} isHidden={!isDrawing.value} />
        {file && <img id="file-preview" src={file.url} alt={`The chosen file, ${file.file.name}`} />}
        {batch.value.length > 0 && <ContactSheet />}
        <p className="drop-hint" aria-hidden="true">
          Drop it here
        </p>
      </div>
      <div className="stage-foot">
        <p className="meta" id="picture-meta" role="status">
          {about()}
        </p>
        <div className="stage-actions">
          {!isDrawing.value && (
            <button className="button quiet" type="button" id="back-to-drawing" onClick={() => control.backToDrawing()}>
              Back to drawing
            </button>
          )}
          <FileButton onFiles={(files) => control.take(files)} />
        </div>
      </div>
      <p className="form-message" id="file-message" role="alert">
        {fileProblem.value}
      </p>
    </section>
  );
}

function about(): string {
  const file = chosen.value?.file;
  if (file) return `${file.name}, ${megabytes(file.size)}`;
  if (!isDrawing.value || !drawing.value) return "";
  const { side, layers, latencyMs } = drawing.value;
  return `A landscape, drawn on your device: ${side} × ${side}, ${layers} layers in ${latencyMs} ms`;
}

function Drawn({ control, isHidden }: { control: Stage; isHidden: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    control.drawOn(canvas.current ?? undefined);
    return () => control.drawOn(undefined);
  }, [control]);
  const label = drawing.value && `Drawn from “${drawing.value.prompt}”, seed ${drawing.value.seed}`;
  return <canvas id="canvas" ref={canvas} role="img" aria-label={label ?? "The drawn picture"} hidden={isHidden} />;
}

function FileButton({ onFiles }: { onFiles: (files: File[]) => void }) {
  const choose = ({ currentTarget: input }: { currentTarget: HTMLInputElement }) => {
    onFiles([...(input.files ?? [])]);
    // The same ones may be chosen again.
    input.value = "";
  };
  return (
    <label className="button quiet file-button">
      <input
        className="visually-hidden"
        type="file"
        id="file"
        multiple
        accept="image/png,image/jpeg,image/webp,image/avif,image/gif"
        onChange={choose}
      />
      Use files
    </label>
  );
}
