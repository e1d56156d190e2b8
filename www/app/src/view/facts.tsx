import type { Facts } from "../control/facts";
import { type FileFacts, state } from "../state";

const { facts, factsProblem } = state.stage;

/** What the file on the stage says of itself, to be looked at and changed. */
export function FactsFields({ control }: { control: Facts }) {
  const said = facts.value;
  if (!said) return null;
  const isMade = said.by !== undefined || said.seed !== "" || said.steps !== "" || said.model !== "";
  return (
    <>
      {isMade && <Made said={said} control={control} />}
      {said.hasPlace && (
        <Place
          text="This photo says where it was taken. Whoever has its link can read that."
          canLeaveOut={said.canLeavePlaceOut}
          isLeftOut={said.isPlaceLeftOut}
          onChange={(isPlaceLeftOut) => control.write({ isPlaceLeftOut })}
        />
      )}
    </>
  );
}

function Made({ said, control }: { said: FileFacts; control: Facts }) {
  return (
    <fieldset className="field" id="facts" aria-describedby="facts-hint">
      <legend>How it was made</legend>
      <div className="facts-fields">
        <Field name="seed" label="Seed" said={said} control={control} maxLength={20} />
        <Field name="steps" label="Steps" said={said} control={control} maxLength={6} />
        <Field name="model" label="Model" said={said} control={control} maxLength={255} />
      </div>
      <p className="form-message" id="facts-message" role="alert">
        {factsProblem.value}
      </p>
      <p className="hint" id="facts-hint">
        {said.by === undefined ? "Read from the file." : `Read from the file, as ${said.by} wrote it.`} Change what is
        wrong.
        {said.isSeedTooLarge && " Its seed is larger than the database takes, and is left out."}
      </p>
      {said.raw !== undefined && (
        <label className="check">
          <input
            type="checkbox"
            id="keep-raw"
            checked={said.isRawKept}
            onChange={({ currentTarget }) => control.write({ isRawKept: currentTarget.checked })}
          />
          Keep the file's whole text in the row
        </label>
      )}
    </fieldset>
  );
}

interface FieldOptions {
  name: "seed" | "steps" | "model";
  label: string;
  said: FileFacts;
  control: Facts;
  maxLength: number;
}

function Field({ name, label, said, control, maxLength }: FieldOptions) {
  const isNumber = name !== "model";
  return (
    <div className={`field facts-${name}`}>
      <label htmlFor={`facts-${name}`}>{label}</label>
      <input
        id={`facts-${name}`}
        autoComplete="off"
        maxLength={maxLength}
        {...(isNumber && { inputMode: "numeric" })}
        aria-describedby="facts-message facts-hint"
        value={said[name]}
        onInput={({ currentTarget }) => control.write({ [name]: currentTarget.value })}
      />
    </div>
  );
}

interface PlaceOptions {
  text: string;
  canLeaveOut: boolean;
  isLeftOut: boolean;
  onChange: (isLeftOut: boolean) => void;
}

/** Says that a shared link tells where a photo was taken, and offers to leave that out. */
export function Place({ text, canLeaveOut, isLeftOut, onChange }: PlaceOptions) {
  return (
    <div className="place" id="place" role="status">
      <p>{text}</p>
      {canLeaveOut ? (
        <label className="check">
          <input
            type="checkbox"
            id="leave-place-out"
            checked={isLeftOut}
            aria-describedby="place-hint"
            onChange={({ currentTarget }) => onChange(currentTarget.checked)}
          />
          Leave the place out
        </label>
      ) : null}
      <p className="hint" id="place-hint">
        {canLeaveOut
          ? "It is encoded anew for that: a little of its quality goes, and all else that the file says of itself."
          : "This browser can't write such a file anew. Your device's gallery can share it without its place."}
      </p>
    </div>
  );
}
