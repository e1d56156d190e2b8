import { type Batch, wordsId } from "../control/batch";
import { megabytes } from "../name";
import { MAX_WORDS } from "../picture";
import { type BatchFile, state } from "../state";
import { Bar } from "./delivery";
import { Place } from "./facts";

const { batch, skipped, isPlaceLeftOut } = state.stage;

/** How many pictures the stage has room for. */
const SHOWN = 9;

/** The files that were chosen together, each with its words and how it fares. */
export function BatchList({ control }: { control: Batch }) {
  const files = batch.value;
  const arrived = files.filter((one) => one.state === "arrived").length;
  const isUnderWay = files.some((one) => one.state !== "chosen");
  const size = files.reduce((sum, { file }) => sum + file.size, 0);
  return (
    <div className="field" id="batch">
      <h2 className="batch-title" id="batch-title" tabIndex={-1}>
        {isUnderWay
          ? `${arrived} of ${pictures(files.length)} arrived`
          : `${pictures(files.length)}, ${megabytes(size)}`}
      </h2>
      {isUnderWay && <Bar id="batch-progress" percent={(arrived / files.length) * 100} labelledBy="batch-title" />}
      <ul className="batch" aria-labelledby="batch-title">
        {files.map((one) => (
          <Line key={one.url} one={one} control={control} />
        ))}
      </ul>
      <Places />
      <Skipped />
    </div>
  );
}

const STATES = { chosen: "", leaving: "Going out", kept: "On its way", arrived: "Arrived ✓" };

function Line({ one: { id, file, url, words, state: at, problem }, control }: { one: BatchFile; control: Batch }) {
  const isChosen = at === "chosen";
  return (
    <li className="batch-line" data-state={at}>
      <img className="batch-thumb" src={url} alt="" width={44} height={44} loading="lazy" decoding="async" />
      <input
        id={wordsId(id)}
        className="batch-words"
        dir="auto"
        maxLength={MAX_WORDS}
        aria-label={`What does ${file.name} show?`}
        aria-describedby={problem === undefined ? undefined : `problem-${id}`}
        readOnly={!isChosen}
        value={words}
        onInput={({ currentTarget }) => control.write(id, currentTarget.value)}
      />
      {isChosen ? (
        <button
          type="button"
          className="button quiet small"
          aria-label={`Leave out ${file.name}`}
          onClick={() => control.remove(id)}
        >
          Leave out
        </button>
      ) : (
        <span className="batch-state">{STATES[at]}</span>
      )}
      {problem !== undefined && (
        <p className="form-message" id={`problem-${id}`}>
          {problem}
        </p>
      )}
    </li>
  );
}

/** Said once for all that have one. */
function Places() {
  const count = batch.value.filter(({ hasPlace }) => hasPlace).length;
  if (count === 0) return null;
  const whose = count === 1 ? "One of them says where it was" : `${count} of them say where they were`;
  return (
    <Place
      text={`${whose} taken. Whoever has a link can read that.`}
      canLeaveOut={true}
      isLeftOut={isPlaceLeftOut.value}
      onChange={(isLeftOut) => {
        isPlaceLeftOut.value = isLeftOut;
      }}
    />
  );
}

/** Every file that was left out, and why. */
function Skipped() {
  const problems = skipped.value;
  return (
    <div role="alert" id="skipped">
      {problems.length > 0 && (
        <>
          <p className="form-message">
            {problems.length === 1 ? "One file was left out:" : `${problems.length} files were left out:`}
          </p>
          <ul className="skipped">
            {problems.map((problem) => (
              <li key={problem}>{problem}</li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

/** All of them at a glance, in the place of one picture. */
export function ContactSheet() {
  const files = batch.value;
  const side = Math.min(3, Math.ceil(Math.sqrt(files.length)));
  const shown = files.slice(0, files.length > SHOWN ? SHOWN - 1 : SHOWN);
  return (
    <div className={`sheet sheet-${side}`} id="contact-sheet" role="img" aria-label={`The ${pictures(files.length)}`}>
      {shown.map(({ url }) => (
        <img key={url} src={url} alt="" decoding="async" />
      ))}
      {files.length > shown.length && <span className="sheet-more">and {files.length - shown.length} more</span>}
    </div>
  );
}

export function pictures(count: number): string {
  return count === 1 ? "1 picture" : `${count} pictures`;
}
