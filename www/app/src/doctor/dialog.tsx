import "./doctor.css";
import type { ComponentType } from "preact";
import { useLayoutEffect } from "preact/hooks";
import type { Session } from "../session";
import { Bar } from "../view/delivery";
import { useModal } from "../view/modal";
import { CopyReport, Findings, summaryOf } from "./findings";
import { type Diagnosis, diagnosis, isOpen, Visit } from "./visit";

/** What shows the doctor from now on, over the page, whenever its address is this one. */
export function openDoctor(address: string, session: Session, onRight: () => void): ComponentType {
  const visit = new Visit(address, session, onRight);
  return () => <DoctorDialog visit={visit} />;
}

function DoctorDialog({ visit }: { visit: Visit }) {
  const modal = useModal(isOpen.value, () => visit.close());
  useLayoutEffect(() => {
    if (isOpen.value) document.getElementById("doctor-title")?.focus();
  }, [isOpen.value]);
  return (
    <dialog className="details doctor" id="doctor" aria-labelledby="doctor-title" {...modal}>
      {isOpen.value && <Body visit={visit} />}
    </dialog>
  );
}

function Body({ visit }: { visit: Visit }) {
  const now = diagnosis.value;
  const isLooking = now.kind === "looking";
  return (
    <div className="details-body">
      <div className="details-head">
        <h2 id="doctor-title" tabIndex={-1}>
          Is the project set up right?
        </h2>
        <button className="button quiet small" type="button" onClick={() => visit.close()}>
          Close
        </button>
      </div>
      <div className="doctor-text">
        <p id="doctor-said" role="status">
          {said(now)}
        </p>
        {isLooking && <Bar percent={undefined} labelledBy="doctor-title" />}
      </div>
      {now.kind === "found" && <Findings report={now.report} />}
      <div className="details-actions">
        {/* Not disabled meanwhile, or the keyboard would be nowhere. */}
        <button
          className="button"
          type="button"
          id="doctor-again"
          aria-disabled={isLooking}
          onClick={() => !isLooking && visit.check()}
        >
          Check again
        </button>
        {now.kind === "found" && <CopyReport report={now.report} />}
      </div>
    </div>
  );
}

function said(now: Diagnosis): string {
  if (now.kind === "looking") return "Looking at the project …";
  return now.kind === "found" ? summaryOf(now.report) : `The project could not be asked. ${now.why}`;
}
